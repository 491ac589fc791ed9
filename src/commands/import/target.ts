/**
 * The target of imported lines: the gateway's own routes, either of a running gateway over HTTP, or of a gateway that
 * this process opened for the import. The requests are the same, so the results are the same.
 *
 * A chunk's offset commits with its rows. If an answer is lost, the import queries the file's stored offset and
 * continues from there, so that every line is stored once.
 */
import { accepted, RequestRefused, type Send, Unreachable } from "../client.ts";
import { type Identity, type KnownFile, readIdentity } from "../../line-files/identity.ts";

/** The gateway's error for one line. */
interface LineError {
  /** The index of the line among the chunk's lines that are not blank, from 0. */
  readonly index: number;
  readonly reason: string;
  /** A short word: `timestamp`, `syntax`, `value` … */
  readonly cause: string;
}

/** A field of a stored line that was not stored as it was sent. */
interface LineWarning {
  /** The index of the first such line. */
  readonly index: number;
  readonly message: string;
  /** The number of such lines, if there are several. */
  readonly events?: number;
}

/** The gateway's answer for a chunk. `causes` counts all rejected lines, and `errors` lists the first of them. */
export interface ChunkAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly errors: readonly LineError[];
  readonly causes: Readonly<Record<string, number>>;
  /** The first different warnings. */
  readonly warnings: readonly LineWarning[];
  /** The number of further warnings. */
  readonly warningsOmitted: number;
  /** The events that the lines became, if they are lines of another format. */
  readonly events?: Uint8Array;
}

/** A part of a file. */
interface Part {
  /** The name of the file's import. */
  readonly file: string;
  /** Absent where no other file is to be compared with this one. */
  readonly firstLineHash: string | undefined;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly lastLineHash: string;
  /** The identity of the file up to `toOffset`, which the gateway stores. */
  readonly identity: Identity;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The first line of the file that is not blank. */
  readonly firstLine: string;
}

/** The gateway rejected the whole chunk because of its content, without saying which line is at fault. */
export class ChunkRefused extends Error {
  override readonly name = "ChunkRefused";
}

/** The chunk is not stored, or that is unknown: after a pause, query the stored offset and continue from there. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly pauseMs: number | undefined;

  constructor(message: string, pauseMs?: number) {
    super(message);
    this.pauseMs = pauseMs;
  }
}

/** A commit takes milliseconds, and a full queue answers at once. After this time the connection counts as broken. */
const ANSWER_TIMEOUT_MS = 120_000;

export class ImportTarget {
  readonly #send: Send;
  /** Whether the gateway has answered before. If so, no answer means a restart and not a wrong address. */
  #hasAnswered = false;

  constructor(send: Send) {
    this.#send = send;
  }

  /** The imported files that begin with a line. */
  async withFirstLine(firstLineHash: string): Promise<KnownFile[]> {
    const { imports } = (await this.#get("/api/v1/imports", [["first_line", firstLineHash]])) as {
      imports: (Omit<KnownFile, "identity"> & { identity: string })[];
    };
    return imports.map((each) => ({ ...each, identity: readIdentity(each.identity) }));
  }

  /** The file whose import has this name; undefined if nothing of it was imported. */
  async named(file: string): Promise<KnownFile | undefined> {
    const found = (await this.#get(`/api/v1/imports/${file}`, [])) as
      | (Omit<KnownFile, "identity"> & { identity: string })
      | undefined;
    return found === undefined ? undefined : { ...found, identity: readIdentity(found.identity) };
  }

  /** The JSON of an answer; undefined if no file was imported by that name. */
  async #get(path: string, query: readonly (readonly [string, string])[]): Promise<unknown> {
    const response = await this.#ask(() => this.#send(path, { query, timeoutMs: ANSWER_TIMEOUT_MS }));
    if (response.status === 404) {
      const { error } = (await response.json().catch(() => ({}))) as { error?: { field?: string } };
      // Another server, or an old gateway, does not have this route.
      if (error?.field !== "file")
        throw new RequestRefused(
          "The server at this address does not support imports.",
          404,
          undefined,
          error,
        );
      return undefined;
    }
    return await (await this.#ask(() => accepted(response))).json();
  }

  /**
   * Stores a part's lines and its offset in one transaction. If no line could be stored, the offset does not change.
   *
   * @param extraLabels `NAME=VALUE`, added to each event that has no such tag of its own
   * @throws Interrupted, ChunkRefused
   */
  async push(part: Part, extraLabels: readonly string[]): Promise<ChunkAnswer> {
    const response = await this.#ask(async () =>
      this.#send("/api/v1/push", {
        method: "POST",
        query: [
          ["import_file", part.file],
          ["import_from", String(part.fromOffset)],
          ["import_to", String(part.toOffset)],
          ["import_line", part.lastLineHash],
          ...(part.firstLineHash === undefined ? [] : [["import_first_line", part.firstLineHash] as const]),
          ["import_identity", JSON.stringify(part.identity)],
          ...extraLabels.map((each) => ["extra_label", each] as const),
        ],
        headers: { "content-type": "application/x-ndjson" },
        body: withoutMarks(part.body),
        timeoutMs: ANSWER_TIMEOUT_MS,
      }),
    );
    try {
      return readAnswer(await (await this.#ask(() => accepted(response))).json());
    } catch (error) {
      if (!(error instanceof RequestRefused)) throw error;
      // 400 with counts means that the chunk was read but no line could be accepted.
      if (error.status === 400 && hasCounts(error.body)) return readAnswer(error.body);
      // An invalid label is not the fault of the lines.
      const { field } = (error.body as { error?: { field?: string } } | undefined)?.error ?? {};
      if (field === "extra_label") throw error;
      // Bytes that are not UTF-8, far too many invalid lines, or a limit below the size of chunks.
      if (error.status === 400 || error.status === 413) throw new ChunkRefused(error.message);
      throw error;
    }
  }

  /** Turns a transient failure into `Interrupted`. `Unreachable` is unchanged if the gateway never answered. */
  async #ask(ask: () => Promise<Response>): Promise<Response> {
    try {
      const response = await ask();
      this.#hasAnswered = true;
      return response;
    } catch (error) {
      if (error instanceof Unreachable && this.#hasAnswered) throw new Interrupted(error.message);
      if (
        error instanceof RequestRefused &&
        (error.status === 409 || error.status === 429 || error.status >= 500)
      ) {
        const { retryAfterSeconds } = error;
        throw new Interrupted(
          error.message,
          retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1_000,
        );
      }
      throw error;
    }
  }
}

/** The byte order mark that some editors and shells write first. Joined files have it at several lines. */
const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Replaces the byte order marks at the beginnings of lines with spaces, so that no offset changes. */
function withoutMarks(body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let clean: Uint8Array<ArrayBuffer> | undefined;
  for (let at = buffer.indexOf(MARK); at !== -1; at = buffer.indexOf(MARK, at + MARK.length)) {
    if (at > 0 && buffer[at - 1] !== 0x0a) continue;
    clean ??= body.slice();
    clean.fill(0x20, at, at + MARK.length);
  }
  return clean ?? body;
}

function hasCounts(body: unknown): boolean {
  return typeof (body as { rejected?: unknown } | undefined)?.rejected === "number";
}

function readAnswer(body: unknown): ChunkAnswer {
  const answer = body as Partial<ChunkAnswer>;
  return {
    accepted: answer.accepted ?? 0,
    duplicates: answer.duplicates ?? 0,
    rejected: answer.rejected ?? 0,
    errors: answer.errors ?? [],
    causes: answer.causes ?? {},
    warnings: answer.warnings ?? [],
    warningsOmitted: answer.warningsOmitted ?? 0,
  };
}
