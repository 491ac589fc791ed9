/**
 * The routes that store lines: `/write` of InfluxDB 1, `/api/v2/write` of 2 and `/api/v3/write_lp` of 3. They differ in
 * their parameters and in the form of their answers (write-answers.ts).
 *
 * A body in which each line has a time is the same points whenever it is sent, as in InfluxDB. So it is stored once if a
 * client repeats it, also if its samples are observations, which have no duplicates of their own: its hash is its
 * idempotency key.
 */
import { type BodyLimits, readBody } from "../../http/body.ts";
import { readFlag, wrongParameter } from "../../http/parameters.ts";
import { Routes } from "../../http/routes.ts";
import { queryOf } from "../../http/url-text.ts";
import type { BodyHash } from "../../wire/body-hash.ts";
import type { Ack, PushOptions } from "../../ingest/contract.ts";
import type { RequestError } from "../../model/errors.ts";
import type { Batch } from "../../model/sample.ts";
import type { NameLimits } from "../../series/naming.ts";
import type { BodyDecoder, Decoding } from "../body-decoder.ts";
import { readIdempotencyKey } from "../idempotency-key.ts";
import { PushParameters } from "../push-parameters.ts";
import type { PushWarnings } from "../push-warnings.ts";
import { INFLUX, V1_CREDENTIALS } from "./influx-protocol.ts";
import type { DecodedLines } from "./line-protocol.ts";
import type { Precision } from "./precision.ts";
import { answerOf, failureOf, type InfluxVersion, isRefused } from "./write-answers.ts";

interface InfluxWriteDependencies {
  /** See src/receive/influx/line-protocol.ts. */
  readonly decoder: BodyDecoder<{
    decoding(body: Uint8Array, precision: Precision): Decoding<DecodedLines>;
    forget(): void;
  }>;
  readonly ingest: {
    readonly bodyHash: BodyHash;
    push(batch: Batch, options?: PushOptions): Promise<Ack>;
  };
  readonly limits: BodyLimits & NameLimits;
  readonly warnings: Pick<PushWarnings, "note">;
}

/** Keys of all three routes: a client that changes its route sends the same points. */
const SCOPE = "influx";

/** Parameters that name a database or a user, or ask for consistency. The gateway has one store and no users. */
const UNUSED = ["db", "rp", "org", "orgID", "bucket", "consistency", "u", "p"];
const OWN = [...UNUSED, "precision", "accept_partial", "no_sync"];

const PRECISIONS: Readonly<Record<InfluxVersion, Readonly<Record<string, Precision>>>> = {
  v1: { n: "ns", ns: "ns", u: "us", us: "us", µ: "us", ms: "ms", s: "s", m: "m", h: "h" },
  v2: { ns: "ns", us: "us", ms: "ms", s: "s" },
  v3: {
    auto: "auto",
    ns: "ns",
    nanosecond: "ns",
    us: "us",
    microsecond: "us",
    ms: "ms",
    millisecond: "ms",
    s: "s",
    second: "s",
  },
};
const DEFAULT_PRECISION: Readonly<Record<InfluxVersion, Precision>> = { v1: "ns", v2: "ns", v3: "auto" };

export const influxWriteRoutes = ({ decoder, ingest, limits, warnings }: InfluxWriteDependencies) => {
  const parameters = new PushParameters(limits, INFLUX.terms, OWN);

  const write = (version: InfluxVersion) => async (request: Request) => {
    const search = queryOf(request.url);
    const precision = readPrecision(version, search.get("precision"));
    const acceptsPartial = readFlag(search, "accept_partial") ?? true;
    const isQueued = readFlag(search, "no_sync") ?? false;
    for (const name of OWN) search.delete(name);
    const query = search.toString();
    const { extraLabels, historical } = parameters.read(query);
    const key = readIdempotencyKey(request);
    const body = await readBody(request, limits);
    const lines = await decoder.decode(body.length, (free) => free.decoding(body, precision));
    const { batch } = lines;
    if (isRefused(version, lines, acceptsPartial)) return answerOf(version, lines, body, precision);
    const isRepeatable = key !== undefined || (lines.isTimed && lines.hasObservations);
    const hash = isRepeatable ? ingest.bodyHash.of(`${precision} ${query}`, body) : "";
    const ack = await ingest.push(batch, {
      extraLabels,
      historical,
      durability: isQueued ? "queued" : "committed",
      // A key that is the hash needs no second one.
      idempotency: isRepeatable
        ? { scope: SCOPE, key: key ?? hash, bodyHash: key === undefined ? "" : hash }
        : undefined,
    });
    if (batch.warnings !== undefined && ack.repeated !== true) warnings.note(batch.warnings);
    // The kind of a metric may differ from what the decoder remembers of it.
    if (ack.rejected.some(({ cause }) => cause === "kind"))
      decoder.eachDecoder((each) => {
        each.forget();
      });
    return answerOf(version, lines, body, precision, ack);
  };

  const failure = (version: InfluxVersion) => (error: RequestError) => failureOf(version, error);
  return new Routes(undefined, { credentials: V1_CREDENTIALS, bound: "adds" })
    .on("POST", "/write", "push", "stores lines of InfluxDB 1", write("v1"), failure("v1"))
    .on("POST", "/api/v2/write", "push", "stores lines of InfluxDB 2", write("v2"), failure("v2"))
    .on("POST", "/api/v3/write_lp", "push", "stores lines of InfluxDB 3", write("v3"), failure("v3"));
};

function readPrecision(version: InfluxVersion, text: string | null): Precision {
  if (text === null || text === "") return DEFAULT_PRECISION[version];
  const known = PRECISIONS[version];
  if (Object.hasOwn(known, text)) return known[text]!;
  throw wrongParameter("precision", text, Object.keys(known).join(", "));
}
