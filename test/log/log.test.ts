/** Levels, the limit of lines per second, and the list of events. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EVENTS } from "../../src/log/logged-events.ts";
import { createLog } from "../../src/log/log.ts";
import { parseLogfmt } from "./logfmt.ts";

function collect(...[level, options]: [Parameters<typeof createLog>[0], Parameters<typeof createLog>[2]?]) {
  const lines: string[] = [];
  return { lines, log: createLog(level, (line) => void lines.push(line), options) };
}

test("a line has time, level, event, message and the fields, in this order", () => {
  const { lines, log } = collect("info");
  log("stopping", { signal: "SIGTERM" });
  expect(lines[0]).toMatch(
    /^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info event=stopping message="the gateway is stopping" signal=SIGTERM\n$/,
  );
  expect(Object.keys(parseLogfmt(lines[0]!.trimEnd()))).toEqual([
    "time",
    "level",
    "event",
    "message",
    "signal",
  ]);
});

test("less important levels are not written", () => {
  const { lines, log } = collect("warn");
  log("stopping");
  log("disk_has_room");
  log("disk_full");
  expect(lines.map((line) => parseLogfmt(line.trimEnd()).event)).toEqual(["disk_has_room", "disk_full"]);
});

describe("requests", () => {
  test("are lines of the level debug, and of the level info if they are asked for", () => {
    const [info, debug, asked] = [collect("info"), collect("debug"), collect("info", { requests: true })];
    for (const { log } of [info, debug, asked]) log("request", { method: "GET", status: 200 });
    expect(info.lines).toEqual([]);
    expect(parseLogfmt(debug.lines[0]!.trimEnd())).toMatchObject({ level: "debug", event: "request" });
    expect(parseLogfmt(asked.lines[0]!.trimEnd())).toMatchObject({ level: "info", status: "200" });
  });

  test("are not limited per second", () => {
    const { lines, log } = collect("info", { requests: true });
    for (let line = 0; line < 500; line++) log("request");
    expect(lines).toHaveLength(500);
  });
});

test("lines past 50 per second are dropped and counted, without a loss of lines of other levels", () => {
  const { lines, log } = collect("info", { format: "json" });
  const before = Math.floor(Date.now() / 1000);
  for (let line = 0; line < 300; line++) log("datagrams_lost", { causes: `waiting=${line}` });
  log("disk_full");
  const read = lines.map((line) => JSON.parse(line) as { event: string; dropped?: number });
  const seconds = Math.floor(Date.now() / 1000) - before + 1;
  const kept = read.filter(({ event }) => event === "datagrams_lost");
  expect(kept.length).toBeLessThanOrEqual(50 * seconds);
  // A second may have ended meanwhile. Its dropped lines are on the first line of the next.
  const known = kept.reduce((sum, { dropped = 0 }) => sum + 1 + dropped, 0);
  expect(known).toBeLessThanOrEqual(300);
  expect(read.at(-1)!.event).toBe("disk_full");
  expect(read.at(-1)!.dropped).toBeUndefined();
});

test("README.md lists each event with its level, message and fields", () => {
  const document = readFileSync(join(import.meta.dir, "../../src/log/README.md"), "utf8");
  const table = /<!-- events -->([\s\S]*)<!-- \/events -->/.exec(document)![1]!;
  const rows = [...table.matchAll(/^\| `.*$/gm)].map(([row]) => row);
  expect(rows).toEqual(
    Object.entries(EVENTS).map(
      ([name, { level, message, fields }]) =>
        `| \`${name}\` | ${level} | ${message} | ${fields.map((field) => `\`${field}\``).join(", ")} |`,
    ),
  );
});
