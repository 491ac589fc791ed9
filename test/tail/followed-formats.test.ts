/** Followed files of other programs: each line's events are stored once, over rotation and restarts. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { type LineFormatOptions, readLineFormat } from "../../src/line-formats/line-format.ts";
import { NOON_MS } from "../gateway.ts";
import { Followed } from "./followed.ts";

let it: Followed;
beforeEach(async () => {
  it = await Followed.open();
});
afterEach(async () => {
  await it.close();
});

const start = (name: string, options: LineFormatOptions) =>
  it.start({ patterns: [it.path(name)], format: readLineFormat(options)! });

test("JSON of other programs over a rotation and a restart; lines without a value are logged with their number", async () => {
  const pino = (n: number) => `{"time":${NOON_MS - 60_000 + n},"took":${n},"msg":"done"}\n`;
  const options = { map: ["value=took:m,skip=msg"] };
  it.write("metrics_1.json", `${pino(1)}{"time":${NOON_MS},"msg":"started"}\n`);
  start("metrics*.json", options);
  await it.stores("1@1");
  await it.loggedEvent("tail_line_rejected");
  renameSync(it.path("metrics_1.json"), it.path("metrics_1.json.2024-01-15"));
  it.append("metrics_1.json.2024-01-15", pino(2));
  it.write("metrics_1.json", pino(3));
  await it.stores("1@1", "2@1", "3@1");
  await it.stop();
  it.append("metrics_1.json", pino(4));
  start("metrics*.json", options);
  await it.stores("1@1", "2@1", "3@1", "4@1");
  const found = it.logged.filter(({ event }) => event === "tail_line_rejected").map(({ fields }) => fields);
  expect(found).toMatchObject([
    {
      file: it.path("metrics_1.json"),
      line: 2,
      cause: "field",
      reason: 'the field "took" is missing (value=took:m)',
    },
  ]);
  expect(it.counts).toMatchObject({ lines: 4, rejected: 1 });
});

test("CSV that grows: its header is known after a restart, and a header without the column is reported once", async () => {
  const options = { format: "csv", map: ["value=took:m,timestamp=at"] };
  const row = (n: number) => `${NOON_MS - 60_000 + n}, ${n}\n`;
  it.write("a.csv", `at, took\n${row(1)}`);
  it.write("b.csv", `at, toook\n${row(9)}`);
  start("*.csv", options);
  await it.stores(1);
  await it.loggedEvent("tail_file_problem");
  await it.stop();
  it.append("a.csv", row(2) + row(3).slice(0, 5));
  start("*.csv", options);
  await it.stores(1, 2);
  it.append("a.csv", row(3).slice(5));
  await it.stores(1, 2, 3);
  const found = it.logged.filter(({ event }) => event === "tail_file_problem").map(({ fields }) => fields);
  expect(found[0]).toEqual({
    file: it.path("b.csv"),
    reason: 'its header "at, toook" has no column "took" (value=took:m); did you mean "toook"?',
  });
  expect(it.counts.rejected).toBe(0);
});

test("logfmt and line protocol", async () => {
  it.write("a.log", `ts=${NOON_MS - 1_000} took=1ms\n`);
  start("*.log", { format: "logfmt", map: ["value=took:m"] });
  await it.stores(1);
  await it.stop();
  it.write("b.lp", `m v=2 ${NOON_MS - 1_000}000000\n`);
  start("*.lp", { format: "influx", map: ["value=v:m,type:=observation"] });
  await it.stores(1, 2);
});
