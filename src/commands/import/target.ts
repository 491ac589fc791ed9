/**
 * The target of imported lines: the gateway's own routes, either of a running gateway over HTTP, or of a gateway that
 * this process opened for the import. The requests are the same, so the results are the same.
 *
 * A chunk's offset commits with its rows. If an answer is lost, the import queries the file's stored offset and
 * continues from there, so that every line is stored once.
 */
import { accepted, RequestRefused, type Send, Unreachable } from "../client.ts";
import { withoutMarks } from "../../line-files/content.ts";
import { type KnownFile, readIdentity } from "../../line-files/identity.ts";
import {
  ChunkRefused,
  type FilePart,
  Interrupted,
  type LineStore,
  type PartAnswer,
} from "../../line-files/line-store.ts";

/** A commit takes milliseconds, and a full queue answers at once. After this time the connection counts as broken. */
const ANSWER_TIMEOUT_MS = 120_000;

export class ImportTarget implements LineStore {
  readonly #send: Send;
  readonly #timeoutMs: number;
  /** Whether the gateway has answered before. If so, no answer means a restart and not a wrong address. */
  #hasAnswered = false;

  /** @param timeoutMs how long an answer may take */
  constructor(send: Send, timeoutMs = ANSWER_TIMEOUT_MS) {
    this.#send = send;
    this.#timeoutMs = timeoutMs;
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
    const response = await this.#ask(() => this.#send(path, { query, timeoutMs: this.#timeoutMs }));
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
   * @param fields further parameters of the query
   * @param contentType of the body
   * @throws Interrupted, ChunkRefused
   */
  async push(
    part: FilePart,
    extraLabels: readonly string[],
    fields: readonly (readonly [string, string])[] = [],
    contentType = "application/x-ndjson",
  ): Promise<PartAnswer> {
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
          ...(part.isLive ? [["historical", "false"] as const] : []),
          ...extraLabels.map((each) => ["extra_label", each] as const),
          ...fields,
        ],
        headers: { "content-type": contentType },
        body: withoutMarks(part.body),
        timeoutMs: this.#timeoutMs,
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

function hasCounts(body: unknown): boolean {
  return typeof (body as { rejected?: unknown } | undefined)?.rejected === "number";
}

function readAnswer(body: unknown): PartAnswer {
  const answer = body as Partial<PartAnswer>;
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
