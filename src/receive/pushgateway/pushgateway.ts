/**
 * Pushgateway's push API (https://github.com/prometheus/pushgateway#api): `PUT`, `POST` and `DELETE` of
 * `/metrics/job/JOB{/NAME/VALUE}`, answered as Pushgateway answers: 200 or 202 with an empty body, 400 with a line of
 * text. A push is answered after all of it is in the file.
 *
 * `DELETE /metrics?match[]=SELECTOR` deletes the groups whose grouping labels a PromQL selector selects.
 */

import type { Caller } from "../../access/access.ts";
import { errorHeaders, jsonResponse, plainText } from "../../http/error-answers.ts";
import type { Log } from "../../log/log.ts";
import { readFlag, rejectUnknown } from "../../http/parameters.ts";
import { Routes } from "../../http/routes.ts";
import { holdsReplacement, queryOf } from "../../http/url-text.ts";
import { BadInput, quote } from "../../model/errors.ts";
import { hasLabels } from "../../query/caller-series.ts";
import { TimeSlices } from "../../model/tasks/time-slices.ts";
import { isShifted } from "../../query/promql/parse/ast.ts";
import { parse } from "../../query/promql/parse/parse.ts";
import { PushWarnings } from "../push-warnings.ts";
import { type GroupRequestOptions, labelsOfGroup, readGroupRequest } from "./group-request.ts";
import { type Group, groupKey } from "./groups/group.ts";
import type { GroupTransactions } from "./groups/group-transactions.ts";
import type { Groups } from "./groups/groups.ts";

interface PushgatewayDependencies extends GroupRequestOptions {
  readonly groups: Pick<Groups, "groups">;
  readonly transactions: Pick<GroupTransactions, "push" | "remove">;
  readonly log: Log;
}

/** Groups that the answer to a deletion by selector lists. `deleted` counts all. */
const NAMED_MAX = 1_000;

export const pushgatewayRoutes = (dependencies: PushgatewayDependencies) => {
  const warnings = new PushWarnings(dependencies.log, dependencies.counters);
  const push = (request: Request) => pushOf(request, dependencies, warnings);
  const remove = async (request: Request) => {
    await dependencies.transactions.remove([groupKey(labelsOfGroup(request, dependencies))]);
    return empty(202);
  };
  // As Pushgateway answers errors, with a line of text.
  return new Routes((error) => plainText(error.status, error.message, errorHeaders(error)), { bound: "adds" })
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
      { scope: "admin", bound: "narrows" },
      "deletes the groups that a selector selects",
      (request, _, caller) => removeMatching(request, caller, dependencies),
    );
};

async function pushOf(
  request: Request,
  { transactions, ingest, limits, layouts, counters, boundLabels }: PushgatewayDependencies,
  warnings: PushWarnings,
): Promise<Response> {
  const { push, idempotency, inexact } = await readGroupRequest(request, {
    ingest,
    limits,
    layouts,
    counters,
    boundLabels,
  });
  const ack = await transactions.push(push, idempotency);
  const refusal = ack.rejected[0];
  if (refusal !== undefined) return plainText(400, refusal.reason);
  const headers: Record<string, string> = ack.repeated ? { "weir-duplicate": "true" } : {};
  if (inexact.first.length > 0) {
    if (!ack.repeated) warnings.note(inexact);
    headers["weir-warnings"] = String(inexact.counts.get("value"));
  }
  return empty(200, headers);
}

async function removeMatching(
  request: Request,
  caller: Caller,
  dependencies: PushgatewayDependencies,
): Promise<Response> {
  const search = queryOf(request.url);
  const texts = search.getAll("match[]");
  if (texts.length === 0) throw new BadInput('expected match[], such as match[]={job="a"}', "match[]");
  // A misspelt dryRun must not delete.
  rejectUnknown(search, ["match[]", "dryRun"]);
  const dryRun = readFlag(search, "dryRun") ?? false;
  const slices = new TimeSlices();
  const selectors: ReturnType<typeof selectorOf>[] = [];
  for (const text of texts) {
    selectors.push(selectorOf(text));
    if (slices.isOver) await slices.next();
  }
  const selected: Group[] = [];
  for (const group of dependencies.groups.groups()) {
    const matches = selectors.some((matchers) =>
      matchers.every((matcher) => matcher.matches(group.labels.get(matcher.name) ?? "")),
    );
    if (matches && hasLabels(group.labels, caller.labels)) selected.push(group);
  }
  if (!dryRun) {
    await dependencies.transactions.remove(selected.map(({ key }) => key));
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
  if (expression.type !== "vectorSelector" || isShifted(expression)) {
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

function empty(status: number, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers });
}
