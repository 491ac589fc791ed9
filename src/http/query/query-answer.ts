/**
 * The answer to a query over HTTP: chooses the format, and streams the rows as a body.
 *
 * The first piece is made before the answer begins, so that a failure until then is an error with a status. A later
 * failure breaks off the connection: no client may take a part for the whole. `Weir-Row-Limit` is the most rows that
 * the answer may have. JSON and the table also say whether rows were omitted, and so does `Weir-Truncated: true` where
 * that is known before the answer begins: for Parquet, and for answers of one piece. `Weir-Warnings` says what the answer
 * lacks, such as archived days.
 */
import { BadInput, quote, Timeout, Unsupported } from "../../model/errors.ts";
import type { Formats } from "../../query/formats/all.ts";
import { FORMAT_NAMES, type FormatName } from "../../query/formats/format.ts";
import type { QueryOptions, QueryResult } from "../../query/sql/sql-engine.ts";
import { preferredType } from "../negotiation.ts";
import { readCount } from "../parameters.ts";
import { streamResponse } from "../stream.ts";

/** How long a client may read nothing before it is disconnected. */
const STALL_MS = 60_000;

/** By media type. The first that a wildcard selects is preferred. */
const BY_TYPE: Readonly<Record<string, FormatName>> = {
  "application/json": "json",
  "application/x-ndjson": "ndjson",
  "application/jsonl": "ndjson",
  "text/plain": "table",
  "text/csv": "csv",
  "application/vnd.apache.parquet": "parquet",
};

/** The format of `format=`, else the one that `Accept` prefers, else JSON. */
export function chooseFormat(format: string | null, accept: string | null): FormatName {
  if (format !== null) {
    const chosen = FORMAT_NAMES.find((name) => name === format);
    if (chosen === undefined)
      throw new BadInput(
        `format=${quote(format)} is unknown; expected ${FORMAT_NAMES.join(", ")}.`,
        "format",
      );
    return chosen;
  }
  const types = Object.keys(BY_TYPE);
  const preferred = BY_TYPE[preferredType(accept, types) ?? ""];
  if (preferred === undefined)
    throw new Unsupported(`Accept is ${quote(accept)}; the answer can be ${types.join(", ")}.`);
  return preferred;
}

/** Reads `limit` and `timeoutMs` of a query string. Undefined if absent. */
export function readLimits(query: URLSearchParams): Pick<QueryOptions, "limitRows" | "timeoutMs"> {
  return {
    limitRows: readCount(query.get("limit") ?? undefined, "limit"),
    timeoutMs: readCount(query.get("timeoutMs") ?? undefined, "timeoutMs"),
  };
}

/** The header that says what an answer lacks. None if it is whole. */
export function warningHeaders(warnings: readonly string[] = []): Readonly<Record<string, string>> {
  return warnings.length === 0 ? {} : { "weir-warnings": warnings.join("; ") };
}

/** The answer with the rows of `result`, which is closed when the body ends or the client disconnects. */
export async function answer(
  result: QueryResult,
  name: FormatName,
  formats: Formats,
  moreHeaders: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const format = formats[name];
  const pieces = format.encode(result);
  const headers: Record<string, string> = {
    "content-type": format.contentType,
    "weir-row-limit": String(result.limitRows),
    vary: "accept",
    ...warningHeaders(result.warnings),
    ...moreHeaders,
  };
  if (name === "parquet") headers["content-disposition"] = 'attachment; filename="answer.parquet"';
  const stop = async () => {
    // The query is stopped first, because the pieces wait for it.
    await result.close();
    await pieces.return();
  };
  try {
    const first = await pieces.next();
    const second = first.done ? first : await pieces.next();
    if (result.truncated) headers["weir-truncated"] = "true";
    // Most answers are one piece, and keep their connection open.
    if (second.done) return new Response(first.value ?? "", { headers });
    return streamResponse(bodyOf([first, second], pieces, stop), headers);
  } catch (error) {
    await stop();
    throw error;
  }
}

type Piece = Uint8Array | string;

/** The pieces made so far, then each further piece when it is requested. */
function bodyOf(
  made: IteratorResult<Piece, void>[],
  pieces: AsyncGenerator<Piece, void, undefined>,
  stop: () => Promise<void>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stall: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        try {
          const { done, value } = made.shift() ?? (await pieces.next());
          if (done || value === undefined) {
            await stop();
            controller.close();
            return;
          }
          controller.enqueue(typeof value === "string" ? encoder.encode(value) : value);
        } catch (error) {
          await stop();
          throw error;
        }
        stall = setTimeout(() => {
          controller.error(new Timeout(`The client read nothing of the answer for ${STALL_MS} ms.`));
          stop().catch(() => {});
        }, STALL_MS);
      },
      async cancel() {
        clearTimeout(stall);
        await stop();
      },
    },
    { highWaterMark: 1 },
  );
}
