/** `weir import FILE.parquet` with a real gateway: what is stored of files that pyarrow wrote, and that it is stored once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const folder = temporaryFolder();
const SETTINGS = ["--retention-days", "36500", "--no-sampler", "--log-level", "error"];
const FIXTURES = join(import.meta.dir, "../../fixtures/arrow");
const ELEVEN_MS = Date.UTC(2024, 9, 4, 11);

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: join(folder, "data"), args: SETTINGS });
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

/** Copies a file, so that its path is short and new. */
function copy(fixture: string, name: string): string {
  const path = join(folder, name);
  copyFileSync(join(FIXTURES, fixture), path);
  return path;
}
const run = (...args: string[]) => weir(["import", "--url", gateway.url, ...args]);

async function stored(metric: string): Promise<Record<string, unknown>[]> {
  const response = await fetch(`${gateway.url}/api/v1/export?metric=${metric}`);
  const lines = (await response.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("a Parquet file", () => {
  test("is stored with its types as tags, and names the rows that are rejected", async () => {
    const path = copy("events.parquet", "first.parquet");
    const { code, out, err } = await run(path, "--extra-label", "instance=w1");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(
      `${path}: 3 stored, 2 rejected\n` +
        "  rejected 2 (value): row 2: value is null, expected a finite number\n",
    );
    const common = { at: "2024-10-04T11:00:00Z", cost: "1.3", day: "2024-02-29", instance: "w1" };
    const event = (seconds: number, value: number, tags: object) => ({
      "@timestamp": ELEVEN_MS + seconds * 1_000,
      metric_name: "parquet.duration_ms",
      value,
      tags: { ...common, ...tags, task_id: `1704067200_${seconds}` },
    });
    expect(await stored("parquet.duration_ms")).toEqual([
      event(0, 1.5, { code: "200", id: "9223372036854775808", job: "mail", ok: "true", ratio: "0.1" }),
      event(1, 2.5, { id: "9223372036854775809", job: "scan", ok: "false", ratio: "0.5" }),
      event(3, 4.5, { code: "-1", id: "9223372036854775811", ok: "false", ratio: "2" }),
    ]);
  });

  test("is stored once, also from another path, and again under another name", async () => {
    const path = copy("events.parquet", "second.parquet");
    expect((await run(path)).out).toBe(`${path}: nothing new\n`);
    expect(await stored("parquet.duration_ms")).toHaveLength(3);
    expect((await run(path, "--as", "other")).out).toStartWith(`${path}: 3 stored, 2 rejected\n`);
    expect((await run(path, "--as", "other")).out).toBe(`${path}: nothing new\n`);
    expect(await stored("parquet.duration_ms")).toHaveLength(6);
  });

  test("is recognised by its content", async () => {
    const path = copy("events.parquet", "without-ending");
    expect((await run(path)).out).toBe(`${path}: nothing new\n`);
  });

  test("with a column that cannot be stored is a failure that names it", async () => {
    const path = copy("list.parquet", "list.parquet");
    const { code, out, err } = await run(path, "--metric", "m");
    expect(code).toBe(1);
    expect(out).toBe(`${path}: nothing stored\n`);
    expect(err).toContain(
      'the column "tags" has the type VARCHAR[], expected numbers, texts, booleans, dates or timestamps',
    );
  });

  test("without a metric, or with two, is a failure", async () => {
    const path = copy("events.parquet", "third.parquet");
    const { code, err } = await run(path, "--metric", "m", "--as", "twice");
    expect(code).toBe(1);
    expect(err).toContain('the object has a metric and a column "metric", expected one of them');
  });

  test("that is truncated is a failure", async () => {
    const path = copy("events.parquet", "cut.parquet");
    truncateSync(path, 100);
    const { code, err } = await run(path);
    expect(code).toBe(1);
    expect(err).toContain("cut.parquet");
  });
});

test("the options of Parquet files are rejected for other files", async () => {
  const { code, err } = await run(join(FIXTURES, "make.py"), "--metric", "m");
  expect(code).toBe(2);
  expect(err).toContain("--metric is for Parquet files");
});
