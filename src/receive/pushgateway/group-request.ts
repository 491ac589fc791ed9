/**
 * A request that pushes to a group, as a push: its path, query and headers, and its body in one of three formats.
 * Nothing here knows what the groups have.
 */
import { type BodyLimits, readBody, readEncodedBody } from "../../http/body.ts";
import { decodeWithHint } from "../../http/body-hint.ts";
import { contentTypeOf, type MediaType } from "../../http/negotiation.ts";
import { pathOf, queryOf } from "../../http/url-text.ts";
import type { BodyHash } from "../../wire/body-hash.ts";
import type { Idempotency } from "../../ingest/contract.ts";
import type { Counters } from "../../model/counters.ts";
import { Forbidden, quote } from "../../model/errors.ts";
import type { Labels, RepeatedWarning, Warnings } from "../../model/sample.ts";
import type { BucketLayouts } from "../../wire/bucket-layout.ts";
import { type DecodedFamily, InvalidFamily } from "../../wire/exposition-formats/decoded-families.ts";
import { type DecodedCounts, decodingMetricFamilies } from "../../wire/exposition-formats/metric-family.ts";
import { decodingOpenMetrics } from "../../wire/exposition-formats/open-metrics.ts";
import { decodingText } from "../../wire/exposition-formats/text-format.ts";
import { decompressSnappyFrames } from "../../wire/compression/snappy-frames.ts";
import { decodeBody, type Decoding } from "../body-decoder.ts";
import { readIdempotencyKey } from "../idempotency-key.ts";
import { groupKey } from "./groups/group.ts";
import type { GroupPush } from "./groups/pushed.ts";
import { groupPushParameters } from "./pushgateway-parameters.ts";
import { groupingLabels } from "../grouping-labels.ts";

/** A body of text is converted without a pause: within some 30 ms. It has room for 500,000 samples. */
const INFLATED_BYTES_MAX = 32 * 1_048_576;

export interface GroupRequestOptions {
  readonly ingest: { readonly bodyHash: BodyHash };
  readonly limits: BodyLimits;
  /** The bounds of native histograms, which all protocols share. */
  readonly layouts: BucketLayouts;
  readonly counters: Counters;
  /** The labels that the caller's token adds to each group, if there are any. */
  readonly boundLabels: () => Labels | undefined;
}

/** The labels of the group that a request names: those of its path, and those of the caller's token. */
export function labelsOfGroup(
  request: Request,
  { boundLabels }: Pick<GroupRequestOptions, "boundLabels">,
): ReadonlyMap<string, string> {
  const labels = groupingLabels(pathOf(request.url));
  for (const [name, value] of boundLabels() ?? []) {
    const given = labels.get(name);
    if (given !== undefined && given !== value) {
      throw new Forbidden(
        `the label ${name} of the path is ${quote(given)}, but the token has the label ${name}=${quote(value)}`,
      );
    }
    labels.set(name, value);
  }
  return labels;
}

interface GroupRequest {
  readonly push: GroupPush;
  readonly idempotency: Idempotency | undefined;
  /** Values that are stored as the nearest float. */
  readonly inexact: Warnings;
}

/** Reads a `PUT` or `POST`. Throws a RequestError of src/model/errors.ts if no push can be read. */
export async function readGroupRequest(
  request: Request,
  { ingest, limits, layouts, counters, boundLabels }: GroupRequestOptions,
): Promise<GroupRequest> {
  const labels = labelsOfGroup(request, { boundLabels });
  const search = queryOf(request.url);
  const asked = groupPushParameters(search, request.method);
  const key = readIdempotencyKey(request);
  const inflatedBytesMax = Math.min(limits.inflatedBytesMax, INFLATED_BYTES_MAX);
  const body = await readPushedBody(request, { ...limits, inflatedBytesMax });
  const counts = { nativeHistograms: 0, exemplarsDropped: 0 };
  const decoded = await familiesOf(body, limits, () =>
    decodingFamilies(body, contentTypeOf(request), layouts, counts),
  );
  counters.nativeHistograms.inc(counts.nativeHistograms);
  counters.exemplarsDropped.inc(counts.exemplarsDropped);
  return {
    push: { ...asked, labels, ...decoded, replace: request.method === "PUT" },
    idempotency:
      key === undefined
        ? undefined
        : {
            scope: `${request.method} /metrics/job`,
            key,
            bodyHash: ingest.bodyHash.of(`${groupKey(labels)}\n${search}`, body),
          },
    inexact: inexactValues(decoded.families),
  };
}

/** Warnings about values that are stored as the nearest float. The answer has no body, so the header says only how many there are. */
function inexactValues(families: readonly DecodedFamily[]): Warnings {
  const first: RepeatedWarning[] = [];
  let count = 0;
  let index = 0;
  for (const { name, metrics } of families) {
    for (const { inexactText } of metrics) {
      if (inexactText !== undefined && count++ === 0) {
        const message = `value ${quote(inexactText)} was stored as the nearest float`;
        // The log has one line per field: a body of such values must not fill the memory with the others.
        first.push({ index, field: "value", message, metric: name, samples: 1 });
      }
      index++;
    }
  }
  return { first, counts: new Map([["value", count]]) };
}

/** Decodes the body: framed snappy, which only this route supports, or the encodings of all routes. */
async function readPushedBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase();
  if (encoding !== "snappy") return await readBody(request, limits);
  return decompressSnappyFrames(await readEncodedBody(request, limits), limits.inflatedBytesMax);
}

/** The families of a body, or the error of one that could be parsed. The group records such an error. */
async function familiesOf(
  body: Uint8Array,
  { inProgress }: BodyLimits,
  decoding: () => Decoding<DecodedFamily[]>,
): Promise<{ families: DecodedFamily[]; invalid?: string }> {
  try {
    return await decodeWithHint(body, "/metrics/job/NAME", async () => ({
      families: await decodeBody(body.length, inProgress, decoding),
    }));
  } catch (error) {
    if (error instanceof InvalidFamily) return { families: [], invalid: error.message };
    throw error;
  }
}

/** The families of a body by its content type. Text if the type is none of the others. */
function decodingFamilies(
  body: Uint8Array,
  { type, parameters }: MediaType,
  layouts: BucketLayouts,
  counts: DecodedCounts,
): Decoding<DecodedFamily[]> {
  if (type === "application/openmetrics-text") return decodingOpenMetrics(body);
  const isProtobuf =
    type === "application/vnd.google.protobuf" &&
    parameters.encoding === "delimited" &&
    parameters.proto === "io.prometheus.client.MetricFamily";
  return isProtobuf ? decodingMetricFamilies(body, layouts, counts) : decodingText(body);
}
