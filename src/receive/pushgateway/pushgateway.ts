/**
 * Pushgateway's push API (https://github.com/prometheus/pushgateway#api): `PUT`, `POST` and `DELETE` of
 * `/metrics/job/JOB{/NAME/VALUE}`, answered as Pushgateway answers: 200 or 202 with an empty body, 400 with a line of
 * text. A push is answered after all of it is in the file.
 *
 * `DELETE /metrics?match[]=SELECTOR` deletes the groups whose grouping labels a PromQL selector selects.
 */

import { type BodyLimits, readBody, readEncodedBody } from "../../http/body.ts";
import { decodeWithHint } from "../../http/body-hint.ts";
import { errorHeaders, jsonResponse, pathOf, plainText, queryOf } from "../../http/error-answers.ts";
import type { Log } from "../../http/log.ts";
import { Routes } from "../../http/routes.ts";
import { holdsReplacement } from "../../http/url-text.ts";
import type { Ack, Times, Transaction } from "../../ingest/contract.ts";
import type { Idempotency } from "../../ingest/idempotency.ts";
import type { Counters } from "../../model/counters.ts";
import { BadInput, quote, RequestError } from "../../model/errors.ts";
import type { Warning, Warnings } from "../../model/sample.ts";
import { parse } from "../../query/promql/parse/parse.ts";
import type { BucketLayouts } from "../../wire/bucket-layout.ts";
import { decompressSnappyFrames } from "../../wire/snappy-frames.ts";
import { readIdempotencyKey } from "../idempotency-key.ts";
import { PushWarnings } from "../push-warnings.ts";
import { type Group, groupKey } from "./groups/group.ts";
import type { Decided, GroupPush } from "./groups/pushed.ts";
import { type DecodedCounts, decodeMetricFamilies } from "./metric-family.ts";
import { decodeOpenMetrics } from "./open-metrics.ts";
import { type DecodedFamily, InvalidFamily } from "./pushed-families.ts";
import { groupPushParameters, readFlag } from "./pushgateway-parameters.ts";
import { groupingLabels } from "./pushgateway-path.ts";
import { decodeText } from "./text-format.ts";

export interface PushgatewayDependencies {
  readonly groups: {
    push(push: GroupPush, times: Times): Promise<Decided>;
    remove(keys: Iterable<string>, times: Times): Decided;
    groups(): Iterable<Group>;
  };
  readonly ingest: {
    transact(transaction: Transaction, options?: { idempotency?: Idempotency }): Promise<Ack>;
  };
  readonly limits: BodyLimits;
  readonly log: Pick<Log, "warn">;
  readonly counters: Counters;
  /** The bounds of native histograms, shared with remote_write. */
  readonly layouts: BucketLayouts;
}

/** Groups per transaction of a deletion: limits how long other pushes wait for it. */
const REMOVED_AT_A_TIME = 1_000;
/** Groups that the answer to a deletion by selector lists. `deleted` counts all. */
const NAMED_MAX = 1_000;

export const pushgatewayRoutes = (dependencies: PushgatewayDependencies) => {
  const warnings = new PushWarnings(dependencies.log, dependencies.counters);
  const push = answering((request) => pushOf(request, dependencies, warnings));
  const remove = answering(async (request) => {
    await removeGroups([groupKey(groupingLabels(pathOf(request.url)))], dependencies);
    return empty(202);
  });
  return new Routes()
    .on(["PUT", "POST"], "/metrics/job/*", "push", "stores the metrics of a group", push)
    .on("DELETE", "/metrics/job/*", "push", "deletes a group", remove)
    .on(
      ["PUT", "POST"],
      "/metrics/job@base64/*",
      "push",
      "stores the metrics of a group whose job is in base64",
      push,
    )
    .on("DELETE", "/metrics/job@base64/*", "push", "deletes a group whose job is in base64", remove)
    .on(
      "DELETE",
      "/metrics",
      "admin",
      "deletes the groups that a selector selects",
      answering((request) => removeMatching(request, dependencies)),
    );
};

/** Deletes whole groups, a thousand per transaction. */
export async function removeGroups(
  keys: readonly string[],
  { groups, ingest }: Pick<PushgatewayDependencies, "groups" | "ingest">,
): Promise<void> {
  for (let at = 0; at < keys.length; at += REMOVED_AT_A_TIME) {
    const some = keys.slice(at, at + REMOVED_AT_A_TIME);
    await ingest.transact({
      protocol: "pushgateway",
      samples: some.length,
      decide: (times) => groups.remove(some, times),
    });
  }
}

/** Deletes the groups that have expired. */
export async function expireGroups({
  groups,
  ingest,
  now,
}: Pick<PushgatewayDependencies, "ingest"> & {
  readonly groups: {
    expired(nowUs: number): readonly string[];
    expire(keys: readonly string[], times: Times): Decided;
  };
  readonly now: () => number;
}): Promise<void> {
  const keys = groups.expired(now() * 1_000);
  for (let at = 0; at < keys.length; at += REMOVED_AT_A_TIME) {
    const some = keys.slice(at, at + REMOVED_AT_A_TIME);
    const decide = (times: Times) => groups.expire(some, times);
    await ingest.transact({ protocol: "pushgateway", samples: some.length, decide });
  }
}

async function pushOf(
  request: Request,
  { groups, ingest, limits, layouts, counters }: PushgatewayDependencies,
  warnings: PushWarnings,
): Promise<Response> {
  const labels = groupingLabels(pathOf(request.url));
  const search = queryOf(request.url);
  const asked = groupPushParameters(search, request.method);
  const key = readIdempotencyKey(request);
  const body = await readPushedBody(request, limits);
  const counts = { nativeHistograms: 0, exemplarsDropped: 0 };
  const decoded = decodeBody(body, request.headers.get("content-type"), layouts, counts);
  counters.nativeHistograms.inc(counts.nativeHistograms);
  counters.exemplarsDropped.inc(counts.exemplarsDropped);
  const push: GroupPush = { ...asked, labels, ...decoded, replace: request.method === "PUT" };
  const samples = decoded.families.reduce((sum, { metrics }) => sum + metrics.length, 0);
  const idempotency =
    key === undefined
      ? undefined
      : {
          scope: `${request.method} /metrics/job`,
          key,
          bodyHash: new Bun.CryptoHasher("sha256")
            .update(`${groupKey(labels)}\n${search}\n`)
            .update(body)
            .digest("hex"),
        };
  const ack = await ingest.transact(
    { protocol: "pushgateway", samples, decide: (times) => groups.push(push, times) },
    { idempotency },
  );
  const refusal = ack.rejected[0];
  if (refusal !== undefined) return plainText(400, refusal.reason);
  const headers: Record<string, string> = ack.repeated ? { "weir-duplicate": "true" } : {};
  const inexact = inexactValues(decoded.families);
  if (inexact.first.length > 0) {
    if (!ack.repeated) warnings.note(inexact);
    headers["weir-warnings"] = String(inexact.counts.get("value"));
  }
  return empty(200, headers);
}

/** Warnings about values that are stored as the nearest float. The answer has no body, so the header says only how many there are. */
function inexactValues(families: readonly DecodedFamily[]): Warnings {
  const first: Warning[] = [];
  let count = 0;
  let index = 0;
  for (const { name, metrics } of families) {
    for (const { inexactText } of metrics) {
      if (inexactText !== undefined && count++ === 0) {
        const message = `value ${quote(inexactText)} was stored as the nearest float`;
        // The log has one line per field: a body of such values must not fill the memory with the others.
        first.push({ index, field: "value", message, metric: name });
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
function decodeBody(
  body: Uint8Array,
  contentType: string | null,
  layouts: BucketLayouts,
  counts: DecodedCounts,
): { families: DecodedFamily[]; invalid?: string } {
  try {
    return decodeWithHint(body, "/metrics/job/NAME", () => ({
      families: decodeFamilies(body, contentType, layouts, counts),
    }));
  } catch (error) {
    if (error instanceof InvalidFamily) return { families: [], invalid: error.message };
    throw error;
  }
}

/** The families of a body by its content type. Text if the type is none of the others. */
function decodeFamilies(
  body: Uint8Array,
  contentType: string | null,
  layouts: BucketLayouts,
  counts: DecodedCounts,
): DecodedFamily[] {
  const [type, ...rest] = (contentType ?? "").split(";").map((part) => part.trim());
  const media = type!.toLowerCase();
  if (media === "application/openmetrics-text") return decodeOpenMetrics(body);
  const parameters = new Map(
    rest.map((part) => {
      const [name = "", value = ""] = part.split("=", 2);
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, "$1")];
    }),
  );
  const isProtobuf =
    media === "application/vnd.google.protobuf" &&
    parameters.get("encoding") === "delimited" &&
    parameters.get("proto") === "io.prometheus.client.MetricFamily";
  return isProtobuf ? decodeMetricFamilies(body, layouts, counts) : decodeText(body);
}

async function removeMatching(request: Request, dependencies: PushgatewayDependencies): Promise<Response> {
  const search = queryOf(request.url);
  const texts = search.getAll("match[]");
  if (texts.length === 0) throw new BadInput('expected match[], such as match[]={job="a"}', "match[]");
  // A misspelt dryRun must not delete.
  for (const name of search.keys()) {
    if (name !== "match[]" && name !== "dryRun")
      throw new BadInput(`query parameter ${quote(name)} is unknown, expected match[] or dryRun`, name);
  }
  const dryRun = readFlag(search, "dryRun");
  const selectors = texts.map(selectorOf);
  const selected: Group[] = [];
  for (const group of dependencies.groups.groups()) {
    const matches = selectors.some((matchers) =>
      matchers.every((matcher) => matcher.matches(group.labels.get(matcher.name) ?? "")),
    );
    if (matches) selected.push(group);
  }
  if (!dryRun) {
    const keys = selected.map(({ key }) => key);
    await removeGroups(keys, dependencies);
  }
  const named = selected.slice(0, NAMED_MAX).map(({ labels }) => ({ labels: Object.fromEntries(labels) }));
  const data = { dryRun, deleted: dryRun ? 0 : selected.length, selected: selected.length, groups: named };
  return jsonResponse(dryRun ? 200 : 202, { status: "success", data });
}

function selectorOf(text: string) {
  if (holdsReplacement(text)) {
    throw new BadInput(`match[] is ${quote(text)}, which contains bytes that are not UTF-8`, "match[]");
  }
  const expression = parse(text);
  const expected = 'expected a selector of grouping labels, such as {job="a",instance=~"b.*"}';
  if (expression.type !== "vectorSelector" || expression.offsetMs !== 0 || expression.at !== undefined) {
    throw new BadInput(`match[] is ${quote(text)}, ${expected}`, "match[]");
  }
  if (expression.matchers.some(({ name }) => name === "__name__")) {
    throw new BadInput(
      `match[] ${quote(text)} names a metric, but only whole groups can be deleted; ${expected}`,
      "match[]",
    );
  }
  return expression.matchers;
}

/** Answers errors as Pushgateway does, with a line of text. */
function answering(handle: (request: Request) => Promise<Response>) {
  return async (request: Request): Promise<Response> => {
    try {
      return await handle(request);
    } catch (error) {
      if (error instanceof RequestError) return plainText(error.status, error.message, errorHeaders(error));
      throw error;
    }
  };
}

function empty(status: number, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers });
}
