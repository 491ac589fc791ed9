/**
 * Tables that are pushed with a token with labels: the labels are added to every row, and a row with another value of them
 * is rejected, as with events.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { arrowStream } from "../../../../scripts/bench.d/arrow-writer.ts";
import { addToken } from "../../../access/token-texts.ts";
import { NOON_MS, openTestGateway } from "../../../gateway.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";

const ROWS = 6;
const rows = <Value>(of: (row: number) => Value): Value[] =>
  Array.from({ length: ROWS }, (_, row) => of(row));
/** Rows 0 and 3 have no job, 1 and 4 that of the token, and 2 and 5 that of another one. */
const job = (row: number) => [undefined, "apple", "zebra"][row % 3];

const ARROW = arrowStream([
  { name: "ts", is: "time", values: Float64Array.from(rows((row) => NOON_MS - row)) },
  { name: "value", is: "number", values: Float64Array.from(rows((row) => row)) },
  { name: "job", is: "dictionary", values: rows(job) },
  { name: "task_id", is: "text", values: rows((row) => `t${row}`) },
]);
const COLUMNS = JSON.stringify({
  columns: {
    ts: rows((row) => NOON_MS - row),
    value: rows((row) => row),
    job: rows((row) => job(row) ?? null),
    task_id: rows((row) => `t${row}`),
  },
});
const EVENTS = JSON.stringify(
  rows((row) => ({
    "@timestamp": NOON_MS - row,
    metric_name: "m",
    value: row,
    tags: { ...(job(row) !== undefined && { job: job(row) }), task_id: `t${row}` },
  })),
);

const FORMS = [
  { form: "events", query: "", type: "application/json", body: EVENTS },
  { form: "JSON columns", query: "?metric=m", type: "application/json", body: COLUMNS },
  { form: "Arrow", query: "?metric=m", type: "application/vnd.apache.arrow.stream", body: ARROW },
];

test.each(FORMS)("rows of $form", async ({ query, type, body }) => {
  const tokens = join(temporaryFolder(), "tokens.json");
  const text = await addToken(tokens, "apple", {
    scopes: ["push", "sql"],
    labels: { job: "apple", site: "hh" },
  });
  const headers = { authorization: `Bearer ${text}`, "content-type": type };
  const gateway = await openTestGateway(`--token-file=${tokens}`, "--decode-workers=0");
  const push = async (to: string) => {
    const response = await gateway.fetch(`/api/v1/push${to}`, { method: "POST", headers, body });
    return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
  };
  const { status, answer } = await push(query);
  expect(status).toBe(200);
  expect(answer).toEqual({
    accepted: 4,
    duplicates: undefined,
    rejected: 2,
    errors: [2, 5].map((index) => ({
      index,
      reason: 'tag job is "zebra", but the token has the label job="apple"',
    })),
  });
  const sql = "SELECT value, task_id, job, site FROM m ORDER BY value";
  const asked = await gateway.fetch("/api/v1/sql", {
    method: "POST",
    headers: { authorization: headers.authorization },
    body: sql,
  });
  expect(((await asked.json()) as { rows: unknown }).rows).toEqual(
    [0, 1, 3, 4].map((row) => ({ value: row, task_id: `t${row}`, job: "apple", site: "hh" })),
  );
  // A label of the query that the token does not allow.
  const also = query === "" ? "?" : `${query}&`;
  expect((await push(`${also}extra_label=site=b`)).status).toBe(403);
  await gateway.close();
});
