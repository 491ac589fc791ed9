/** `weir import --format --map` with a real gateway: what lines of other programs become, and that each is stored once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const folder = temporaryFolder();
const SETTINGS = ["--retention-days", "36500", "--no-sampler", "--log-level", "error"];

let gateway: GatewayProcess;
let url: string[];
beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: join(folder, "data"), args: SETTINGS });
  url = ["--url", gateway.url];
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

const put = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const run = (...args: string[]) => weir(["import", ...url, ...args]);

/** The stored samples of a metric: time, value, type and tags, in the order of their times. */
async function stored(metric: string): Promise<unknown[]> {
  const response = await fetch(`${gateway.url}/api/v1/export?metric=${metric}`);
  if (response.status === 404) return [];
  return (await response.text())
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .map((event) => [event["@timestamp"], event.value, event.type ?? "observation", event.tags]);
}

/** 2024-01-15T00:00:00Z is 1705276800. */
const BEGIN_S = 1_705_276_800;

describe("lines of other programs", () => {
  test("JSON of pino: values, times, tags and the worker of the file's name", async () => {
    const path = put(
      "metrics_2.log",
      `{"level":30,"time":${BEGIN_S}123,"req":{"method":"GET"},"responseTime":12.5,"msg":"done"}\n` +
        `{"level":30,"time":${BEGIN_S}456,"msg":"no request"}\n` +
        `{"level":30,"time":${BEGIN_S}789,"req":{"method":"POST"},"responseTime":"large"}\n` +
        "plain text\n",
    );
    const args = ["--map", "value=responseTime:pino.request_ms", "--map", "skip=msg,skip=level", path];
    const { code, out, err } = await run(...args);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const at = (line: string) => Buffer.from(`${out}`).toString().includes(line);
    expect(out.split("\n")[0]).toBe(`${path}: 1 stored, 3 rejected`);
    expect(at("line 2 at byte")).toBe(true);
    expect(at('the field "responseTime" is missing (value=responseTime:pino.request_ms)')).toBe(true);
    expect(at('the field "responseTime" is "large", expected a number')).toBe(true);
    expect(at('the line is "plain text", expected a JSON object')).toBe(true);
    expect(await stored("pino.request_ms")).toEqual([
      [BEGIN_S * 1_000 + 123, 12.5, "observation", { instance: "2", "req.method": "GET" }],
    ]);
    expect((await run(...args)).out).toBe(`${path}: nothing new\n`);
  });

  test("logfmt: several values of a line are several metrics", async () => {
    const path = put(
      "router.log",
      "2024-01-15T00:00:00.250000+00:00 heroku[router]: method=GET connect=1ms service=18ms status=200 bytes=13\n" +
        "2024-01-15T00:00:01.250000+00:00 heroku[router]: method=PUT connect=2ms service=1.5s status=503 bytes=0\n",
    );
    const map = "value=service:router.service_ms,value=bytes:router.sent_bytes,tags=method,tags=status";
    expect((await run("--format", "logfmt", "--map", map, path)).out).toBe(`${path}: 4 stored\n`);
    expect(await stored("router.service_ms")).toEqual([
      [BEGIN_S * 1_000 + 250, 18, "observation", { method: "GET", status: "200" }],
      [BEGIN_S * 1_000 + 1_250, 1_500, "observation", { method: "PUT", status: "503" }],
    ]);
    expect(await stored("router.sent_bytes")).toEqual([
      [BEGIN_S * 1_000 + 250, 13, "observation", { method: "GET", status: "200" }],
      [BEGIN_S * 1_000 + 1_250, 0, "observation", { method: "PUT", status: "503" }],
    ]);
  });

  test("CSV of nvidia-smi that grows: the header is known when the import continues", async () => {
    const path = put(
      "gpu.csv",
      "timestamp, index, utilization.gpu [%], power.draw [W], fan.speed [%]\n" +
        "2024/01/15 00:00:00.500, 0, 100 %, 693.73 W, [N/A]\n",
    );
    const map =
      "timestamp=timestamp:utc,type:=gauge,value=utilization.gpu:card.used,value=power.draw:card.power,value=fan.speed,tags=index";
    const args = ["--format", "csv", "--map", map, path];
    expect((await run(...args)).out).toBe(`${path}: 2 stored\n`);
    appendFileSync(path, "2024/01/15 00:00:01.500, 0, 98 %, 691.00 W, [N/A]\n2024/01/15 00:0");
    expect((await run(...args)).out).toStartWith(`${path}: 2 stored\n  note: its last line is cut (15 bytes`);
    expect(await stored("card.power")).toEqual([
      [BEGIN_S * 1_000 + 500, 693.73, "gauge", { index: "0" }],
      [BEGIN_S * 1_000 + 1_500, 691, "gauge", { index: "0" }],
    ]);
    expect(await stored("card.used")).toHaveLength(2);
    // A copy with another name, compressed, of the first day.
    const copy = put("gpu.csv.gz", gzipSync(await Bun.file(path).bytes()));
    expect((await run("--format", "csv", "--map", map, copy)).out).toStartWith(`${copy}: nothing new\n`);
    expect(await stored("card.power")).toHaveLength(2);
  });

  test("line protocol of Telegraf, also from a pipe", async () => {
    const lines = `tele,host=w1 used=1.5,count=2i ${BEGIN_S}000000000\ntele,host=w1 used=2.5 ${BEGIN_S + 1}000000000\n`;
    const piped = await weir(["import", ...url, "--format", "influx", "-"], { stdin: lines });
    expect(piped.out).toBe("-: 3 stored\n");
    const again = await weir(["import", ...url, "--format", "influx", "-"], { stdin: lines });
    expect(again.out).toBe("-: nothing new\n");
    expect(await stored("tele_used")).toEqual([
      [BEGIN_S * 1_000, 1.5, "gauge", { host: "w1" }],
      [BEGIN_S * 1_000 + 1_000, 2.5, "gauge", { host: "w1" }],
    ]);
    expect(await stored("tele_count")).toEqual([[BEGIN_S * 1_000, 2, "gauge", { host: "w1" }]]);
  });

  test("a folder has the files of the format alone", async () => {
    const inner = join(folder, "mixed");
    mkdirSync(inner);
    writeFileSync(join(inner, "a.csv"), "v,t\n1,1705276800\n");
    writeFileSync(join(inner, "a.json"), '{"metric_name":"not_read","value":1}\n');
    const { out } = await run("--format", "csv", "--map", "value=v:folder.v,timestamp=t", inner);
    expect(out).toBe(`${inner}: 1 other file was not read (a.json)\n${join(inner, "a.csv")}: 1 stored\n`);
  });
});

describe("each line once", () => {
  const line = (n: number) => `{"t":${BEGIN_S + n},"took":${n},"size":${n * 10}}\n`;
  const many = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => line(from + index)).join("");

  test("also if the mapping changes: the new one applies to new lines, and a note says so", async () => {
    const path = put("changed.ndjson", many(0, 10));
    const with_ = (value: string, ...args: string[]) =>
      run("--map", `value=${value},timestamp=t,tags=x`, path, ...args);
    expect((await with_("took:changed.took")).out).toBe(`${path}: 10 stored\n`);
    appendFileSync(path, many(10, 12));
    const bytes = many(0, 10).length;
    expect((await with_("size:changed.size")).out).toBe(
      `${path}: 2 stored\n  note: its lines up to byte ${bytes} were imported with another --format or --map, and keep ` +
        "their events; --as NAME imports all of its lines with this one\n",
    );
    expect(await stored("changed.took")).toHaveLength(10);
    expect((await stored("changed.size")).map((sample) => (sample as number[])[1])).toEqual([100, 110]);
    expect((await with_("size:changed.size")).out).toBe(`${path}: nothing new\n`);
    expect((await with_("size:all.size", "--as", "again")).out).toBe(`${path}: 12 stored\n`);
    expect(await stored("all.size")).toHaveLength(12);
  });

  test("of a file whose events are many times larger than its lines", async () => {
    // 20 values and a long tag of each line: 40 MB of events from 2 MB.
    const names = Array.from({ length: 20 }, (_, n) => `v${n}`);
    const rows = Array.from(
      { length: 5_000 },
      (_, n) => `${BEGIN_S + n},${"x".repeat(300)},${names.map((_, at) => n + at).join(",")}\n`,
    );
    const path = put("wide.csv", `t,note,${names.join(",")}\n${rows.join("")}`);
    const map = names.map((name) => `value=${name}:wide.${name}`).join(",");
    const { code, out } = await run("--format", "csv", "--map", `timestamp=t,${map}`, path);
    expect({ code, out }).toEqual({ code: 0, out: `${path}: 100,000 stored\n` });
    const samples = (await stored("wide.v19")) as [number, number][];
    expect(samples).toHaveLength(5_000);
    // 19 + 20 + … + 5,018
    expect(samples.reduce((sum, [, value]) => sum + value, 0)).toBe(((19 + 5_018) * 5_000) / 2);
  });

  test("of lines that the gateway rejects, the report has the line and the field", async () => {
    const path = put("long.log", `v=1 note=${"x".repeat(5_000)} t=${BEGIN_S}\nv=2 note=y t=${BEGIN_S}\n`);
    const { out } = await run("--format", "logfmt", "--map", "value=v:long.v,timestamp=t", path);
    expect(out).toStartWith(`${path}: 1 stored, 1 rejected\n  rejected 1 (labels): line`);
    expect(out).toContain('"note" is 5000 bytes long');
  });
});

describe("an error ends the command before it reads a file", () => {
  const usage = async (args: readonly string[], message: string) => {
    const { code, err, out } = await run(...args, put("unread.log", "v=1\n"));
    expect([code, out, err.split("\n")[0]]).toEqual([2, "", `weir import: ${message}`]);
  };
  test("for a target that is misspelt", () =>
    usage(
      ["--map", "vlaue=x"],
      '--map has the target "vlaue" in "vlaue=x"; expected metric, value, timestamp, type, unit, tags or skip; did you mean "value"?',
    ));
  test("for a format without a mapping", () =>
    usage(
      ["--format", "logfmt"],
      "--format logfmt needs --map value=FIELD, which names the field with the number, such as --map value=duration_ms.",
    ));
  test("for a column that a header has not, it is the file's error", async () => {
    const path = put("header.csv", "duration,name\n1,a\n");
    const { code, out, err } = await run("--format", "csv", "--map", "value=duratoin", path);
    expect({ code, out, err }).toEqual({
      code: 1,
      out: `${path}: nothing stored\n`,
      err: `weir import: ${path}: its header "duration,name" has no column "duratoin" (value=duratoin); did you mean "duration"?\n`,
    });
  });
});
