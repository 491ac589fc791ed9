/**
 * `POST /api/v1/push`: JSON events, or events as columns, acknowledged after the commit.
 *
 * The body is decoded by src/receive/events/events.ts, which recognises the form of JSON events, or by the decoders of
 * columns/, and passed to ingest as one batch.
 * Valid events are stored. The answer lists each rejected event by its index, with the reason, and each field of an
 * accepted event that was not stored as it was sent.
 */

import { withSecurityHeaders } from "../../access/answer-headers.ts";
import { EXEMPLARS_TYPE } from "../../archive/restore/restored-parts.ts";
import { type BodyLimits, readBody } from "../../http/body.ts";
import { decodeWithHint } from "../../http/body-hint.ts";
import { jsonResponse } from "../../http/error-answers.ts";
import { contentTypeOf } from "../../http/negotiation.ts";
import { Routes } from "../../http/routes.ts";
import { queryText } from "../../http/url-text.ts";
import type { Ack, PushOptions } from "../../ingest/contract.ts";
import { BadInput, messageKind, quote } from "../../model/errors.ts";
import type { Batch, Warnings } from "../../model/sample.ts";
import type { NameLimits } from "../../series/naming.ts";
import type { BodyHash } from "../../wire/body-hash.ts";
import type { BodyDecoder, Decoding } from "../body-decoder.ts";
import type { ColumnsTask, EventsTask } from "../decoding/decode-messages.ts";
import type { BodiesBeside } from "../decoding/decode-workers.ts";
import { readIdempotencyKey } from "../idempotency-key.ts";
import { PushParameters } from "../push-parameters.ts";
import { listWarnings, type PushWarnings } from "../push-warnings.ts";
import type { ColumnBodies } from "./columns/column-bodies.ts";
import { formOf } from "./columns/column-form.ts";
import { COLUMN_PARAMETERS, readColumnParameters } from "./columns/column-parameters.ts";
import { EVENTS } from "./events-protocol.ts";
import type { DecodedExemplars } from "./exemplar-lines.ts";

interface PushDependencies {
  /** Decodes bytes to a `Batch`; see src/receive/events/events.ts. */
  readonly decoder: BodyDecoder<{
    decoding(
      body: Uint8Array,
      options: { readonly ndjson?: boolean; readonly strict?: boolean },
    ): Decoding<Batch>;
  }>;
  /** Decodes bodies of columns. */
  readonly columns: ColumnBodies;
  /** Decodes exemplars of an archive; see src/receive/events/exemplar-lines.ts. */
  readonly decodeExemplars: (body: Uint8Array) => DecodedExemplars | Promise<DecodedExemplars>;
  /** Decode large bodies in other threads. */
  readonly beside: {
    readonly events: BodiesBeside<EventsTask>;
    readonly columns: BodiesBeside<ColumnsTask>;
  };
  readonly ingest: {
    readonly bodyHash: BodyHash;
    push(batch: Batch, options?: PushOptions): Promise<Ack>;
  };
  readonly limits: BodyLimits & NameLimits;
  /** Rejects events that would get a warning, unless `?strict=false`. */
  readonly strictEvents: boolean;
  readonly warnings: PushWarnings;
}

/** Of the answer to most pushes. */
const STORED = withSecurityHeaders({
  "content-type": "application/json; charset=utf-8",
  "weir-durability": "committed",
});

/** Keys belong to a route. */
const SCOPE = "POST /api/v1/push";

/**
 * Enough for all errors of a usual batch: 1,000 reasons of about 200 bytes are 200 kB. `errorsOmitted` counts the
 * rest.
 */
const ERRORS_MAX = 1_000;

export const pushRoutes = ({
  decoder,
  columns,
  decodeExemplars,
  beside,
  ingest,
  limits,
  strictEvents,
  warnings,
}: PushDependencies) => {
  const parameters = new PushParameters(limits, EVENTS.terms, ["strict", ...COLUMN_PARAMETERS]);
  return new Routes(undefined, { bound: "adds" }).on(
    "POST",
    "/api/v1/push",
    "push",
    "stores events in JSON or Arrow",
    async (request) => {
      // Errors in the query and in headers are answered before the body is read.
      const query = queryText(request.url);
      const asked = parameters.read(query);
      const { strict = strictEvents, extraLabels, imported, historical } = asked;
      const ofColumns = readColumnParameters(query);
      const durability = readDurability(request.headers.get("weir-durability"));
      const key = readIdempotencyKey(request);
      const body = await readBody(request, limits);
      const idempotency =
        key === undefined ? undefined : { scope: SCOPE, key, bodyHash: ingest.bodyHash.of(query, body) };
      const { type } = contentTypeOf(request);
      if (type === EXEMPLARS_TYPE) {
        // They need no key: those that are stored are known by their series and time.
        const { batch, wrong } = await decodeExemplars(body);
        return answerExemplars(await ingest.push(batch, { extraLabels, imported, durability }), batch, wrong);
      }
      const form = formOf(type, body);
      if (form === undefined && ofColumns !== undefined) throw notOfColumns(ofColumns);
      const ndjson = isNdjson(type);
      const decode = (bytes: Uint8Array): Batch | Promise<Batch> =>
        form === undefined
          ? decoder.decode(bytes.length, (free) => free.decoding(bytes, { ndjson, strict }))
          : columns.decode(form, bytes, { ...ofColumns, strict });
      const bodies = form === undefined ? beside.events : beside.columns;
      let left = body;
      let batch: Batch | undefined;
      if (bodies.takes(body.length)) {
        const decoded = await (form === undefined
          ? beside.events.decode({ kind: "events", ndjson, strict }, body)
          : beside.columns.decode({ kind: "columns", form, parameters: { ...ofColumns, strict } }, body));
        if (decoded.batch === undefined) left = decoded.body;
        else batch = decoded.batch;
      }
      batch ??= await decodeWithHint(left, "/api/v1/push", () => decode(left));
      const ack = await ingest.push(batch, { extraLabels, imported, historical, durability, idempotency });
      if (batch.warnings !== undefined && ack.repeated !== true) warnings.note(batch.warnings);
      return answer(ack, batch.warnings, imported !== undefined);
    },
  );
};

/** True if the content type says NDJSON. Undefined if the form is recognised from the body. */
function isNdjson(type: string): true | undefined {
  return /^application\/(?:x-)?(?:ndjson|jsonl|json-lines)$/.test(type) ? true : undefined;
}

/** The error of a parameter that says something about columns, beside a body of events. */
function notOfColumns(found: object): BadInput {
  const [name] = Object.keys(found);
  return new BadInput(
    `Query parameter ${name} is for columns, and the body has events; expected an Arrow stream, or an object with "columns".`,
    name,
  );
}

/**
 * 200 (202 if only queued) with the counts, or 400 if all events were rejected. An import also gets the causes, for
 * its report.
 */
function answer(ack: Ack, warnings: Warnings | undefined, isImport: boolean): Response {
  const { accepted, duplicates, rejected, rejectedCount } = ack;
  const isPlain = rejectedCount + duplicates === 0 && warnings === undefined && ack.repeated !== true;
  if (isPlain && ack.durability === "committed")
    return new Response(`{"accepted":${accepted},"rejected":0,"errors":[]}\n`, { headers: STORED });
  const headers: Record<string, string> = { "weir-durability": ack.durability };
  if (ack.repeated) headers["weir-duplicate"] = "true";
  const { count, listed } = listWarnings(warnings);
  if (count > 0) headers["weir-warnings"] = String(count);
  const errors = isImport ? examples(rejected) : rejected.slice(0, ERRORS_MAX);
  const none = accepted === 0 && duplicates === 0 && rejectedCount > 0;
  const body = {
    accepted,
    duplicates: duplicates > 0 ? duplicates : undefined,
    rejected: rejectedCount,
    errors: errors.map(({ index, reason, cause }) => ({
      index,
      reason,
      cause: isImport ? cause : undefined,
    })),
    errorsOmitted: rejectedCount > errors.length ? rejectedCount - errors.length : undefined,
    ...listed,
    causes: isImport && rejected.length > 0 ? countCauses(rejected) : undefined,
    error: none
      ? { code: "bad_input", message: `No event could be accepted; the first: ${errors[0].reason}` }
      : undefined,
  };
  const status = none ? 400 : ack.durability === "queued" ? 202 : 200;
  return jsonResponse(status, body, headers);
}

/** As for events. A series or a time that is not accepted is in the counts alone. */
function answerExemplars(
  { exemplars: accepted, durability }: Ack,
  { exemplars = [] }: Batch,
  wrong: DecodedExemplars["wrong"],
): Response {
  const refused = exemplars.length - accepted;
  const causes = countCauses(wrong);
  if (refused > 0) causes["series or timestamp"] = refused;
  const body = { accepted, rejected: refused + wrong.length, errors: wrong.slice(0, ERRORS_MAX), causes };
  return jsonResponse(durability === "queued" ? 202 : 200, body, { "weir-durability": durability });
}

/** One rejected event of each kind of reason, then the first others, at most `ERRORS_MAX` together, by index. */
function examples(rejected: Ack["rejected"]): Ack["rejected"] {
  if (rejected.length <= ERRORS_MAX) return rejected;
  const kinds = new Map<string, Ack["rejected"][number]>();
  for (const each of rejected) {
    const kind = `${each.cause} ${messageKind(each.reason)}`;
    if (!kinds.has(kind)) kinds.set(kind, each);
  }
  const firsts = [...kinds.values()].slice(0, ERRORS_MAX);
  const others = rejected.filter((each) => !firsts.includes(each)).slice(0, ERRORS_MAX - firsts.length);
  return [...firsts, ...others].sort((a, b) => a.index - b.index);
}

function countCauses(rejected: readonly { readonly cause: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { cause } of rejected) counts[cause] = (counts[cause] ?? 0) + 1;
  return counts;
}

function readDurability(header: string | null): Ack["durability"] {
  if (header === null || header === "committed") return "committed";
  if (header === "queued") return "queued";
  throw new BadInput(`Weir-Durability is ${quote(header)}; expected committed or queued.`, "Weir-Durability");
}
