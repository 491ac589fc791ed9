/** Runs `weir doctor` as a process: on healthy folders, beside a gateway, and with each fault that it looks for. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { checkClock, checkSpace } from "../../../src/commands/operation/doctor-checks.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { Database } from "../../../src/store/engine/duckdb.ts";
import { headerBytes } from "../../../src/store/engine/log-check.ts";
import { openTestGatewayAt } from "../../gateway.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";
import { weir } from "../weir.ts";

const folder = temporaryFolder();
const killed = join(folder, "killed");
let gateway: GatewayProcess;
/** Each push is later than the one before: an older one would move the journal. */
const BEGAN_MS = Date.now();
/** An address on which nobody listens. */
const FREE = "--listen=127.0.0.1:0";

const push = async (url: string, value: number) => {
  const response = await fetch(`${url}/api/v1/push`, {
    method: "POST",
    body: JSON.stringify({
      metric_name: "doctor.test",
      type: "gauge",
      value,
      "@timestamp": BEGAN_MS + value,
    }),
  });
  expect(await response.json()).toMatchObject({ accepted: 1 });
};

beforeAll(async () => {
  // The files of an open store are those that a kill leaves. Retention does not run here: it would move the journal at some
  // time after the start.
  const open = await openTestGatewayAt(BEGAN_MS);
  const url = (await open.listen()).urls[0]!;
  // The first creates the day's table. The others are records of the journal.
  for (const value of [1, 2, 3, 4, 5]) await push(url, value);
  copyFolder(open.folder, killed);
  await open.close();
  gateway = await GatewayProcess.start({ data: join(folder, "running"), args: ["--no-sampler"] });
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

/** A copy of the folder that a kill left. */
function copied(): string {
  const to = join(temporaryFolder(), "data");
  copyFolder(killed, to);
  return to;
}

function copyFolder(from: string, to: string): void {
  expect(Bun.spawnSync(["cp", "-r", from, to]).exitCode).toBe(0);
}

/** The checks by name: ok or FAIL, and the text. */
async function doctor(data: string, ...args: string[]) {
  const { code, out, err } = await weir(["doctor", "--data", data, FREE, ...args]);
  const lines = out
    .split("\n")
    .map((line) => /^(ok|FAIL) +(permissions|store|schema|space|clock|ports|round trip) +(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, state, check, text]) => [check!, { state: state!, text: text! }] as const);
  return { code, out, err, checks: Object.fromEntries(lines) };
}

test("passes every check of a folder that a kill left, and changes nothing", async () => {
  const contents = () =>
    readdirSync(killed)
      .sort()
      .map((name) => [name, name.startsWith("store") ? Bun.hash(readFileSync(join(killed, name))) : ""]);
  const before = contents();
  const { code, err, checks } = await doctor(killed);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(Object.keys(checks)).toEqual(["permissions", "store", "schema", "space", "clock", "ports"]);
  expect(checks.store!.text).toBe(
    "no gateway runs; the database opens, with 1 sample of 1 day; the next start moves 4 changes from the journal",
  );
  expect(checks.schema!.text).toMatch(/^schema \d+ is the newest$/);
  expect(checks.clock!.text).toMatch(/^the newest sample is \d+ s old$/);
  expect(contents()).toEqual(before);
});

test("passes a folder that does not exist yet, and does not create it", async () => {
  const none = join(folder, "none");
  const { code, checks } = await doctor(none);
  expect({ code, exists: existsSync(none) }).toEqual({ code: 0, exists: false });
  expect(checks.permissions!.text).toBe(`${none} does not exist yet; "weir serve" creates it`);
});

test("beside a gateway, stores a sample and reads it again", async () => {
  const { code, err, checks } = await doctor(join(folder, "running"), "--url", gateway.url);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(Object.keys(checks)).toEqual(["permissions", "store", "space", "clock", "round trip"]);
  expect(checks.store!.text).toBe("a gateway has the store open, and is ready");
  expect(checks["round trip"]!.text).toMatch(/^a sample was stored in \d+ ms and read in \d+ ms$/);
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toMatch(/^weir_doctor_check\{.*\} 1\.?\d+e?\+?\d*$/m);
});

test("10: other users may read a file of the store", async () => {
  const data = copied();
  chmodSync(join(data, "store.duckdb.journal"), 0o644);
  const { code, checks } = await doctor(data);
  expect({ code, permissions: checks.permissions }).toEqual({
    code: 10,
    permissions: {
      state: "FAIL",
      text: `other users may read ${data}/store.duckdb.journal: run "chmod 600 ${data}/store.duckdb.journal"`,
    },
  });
});

test("11: the store is damaged, or no gateway answers for it", async () => {
  const data = copied();
  const log = join(data, "store.duckdb.wal");
  const bytes = readFileSync(log);
  // The length of the first entry, which now reaches past the end.
  const first = headerBytes(bytes);
  bytes[first + 5]! ^= 1;
  writeFileSync(log, bytes);
  const { code, checks } = await doctor(data);
  expect(code).toBe(11);
  expect(checks.store).toEqual({
    state: "FAIL",
    text: expect.stringContaining(`is damaged at byte ${first}, and commits`),
  });
  const other = await doctor(join(folder, "running"), "--url", "http://127.0.0.1:1");
  expect(other.code).toBe(11);
  expect(other.checks.store!.text).toStartWith(
    "another process has the store open. Cannot reach a gateway at http://127.0.0.1:1",
  );
});

test("12: the schema is newer", async () => {
  const data = copied();
  const options = { memoryLimitBytes: 2 ** 28, threads: 1, temporaryDirectory: data };
  const database = await Database.open(join(data, "store.duckdb"), options);
  const connection = await database.connect();
  await connection.run("INSERT INTO weir.migrations VALUES (999, 'later', now())");
  connection.close();
  database.close();
  const { code, checks } = await doctor(data);
  expect({ code, state: checks.schema?.state }).toEqual({ code: 12, state: "FAIL" });
});

test("13: the disk has no room now", async () => {
  const { code, checks } = await doctor(copied(), "--disk-reserve-bytes", "1000000GiB");
  expect({ code, state: checks.space?.state }).toEqual({ code: 13, state: "FAIL" });
});

test("15: another process listens on the address", async () => {
  const { hostname, port } = new URL(gateway.url);
  const { code, checks } = await doctor(copied(), `--listen=${hostname}:${port}`);
  expect({ code, ports: checks.ports }).toEqual({
    code: 15,
    ports: { state: "FAIL", text: `cannot listen on ${hostname}:${port}: another process listens on it` },
  });
});

describe("the forecast", () => {
  const MB = 1e6;
  const config = (...args: string[]) => loadConfig(["--disk-reserve-bytes=0", ...args], {}, () => undefined);
  const stock = { days: 2, bytes: 200 * MB, newestMs: undefined };

  test("fails if the days that will be stored need more than is free", () => {
    // 7 days are kept and 2 are stored: 5 more at 100 MB need 500 MB.
    expect(checkSpace(config(), stock, 500 * MB)).toEqual({
      state: "ok",
      text: "500 MB are free; a day takes 100 MB, 2 of 7 days are stored, and 500 MB more will be needed",
    });
    expect(checkSpace(config(), stock, 499 * MB)).toEqual({
      state: "FAIL",
      text: "499 MB are free; a day takes 100 MB, 2 of 7 days are stored: the disk is full in 4 days. Lower --retention-days, or give the disk more room",
    });
    expect(checkSpace(config("--retention-bytes=300000000"), stock, 100 * MB).state).toBe("ok");
  });

  test("is not made from less than two days, or for all days that are kept", () => {
    expect(checkSpace(config(), { ...stock, days: 1 }, 1 * MB).text).toBe(
      "1.0 MB are free; no forecast, because less than two days are stored",
    );
    expect(checkSpace(config(), { ...stock, days: 7 }, 1 * MB).state).toBe("ok");
  });
});

test("14: the newest sample is ahead of the clock, or the clocks differ", () => {
  const now = Date.UTC(2024, 9, 4, 12);
  const clock = (newestMs: number, clockAheadMs = 0) =>
    checkClock(600_000, { days: 1, bytes: 0, newestMs, clockAheadMs }, now);
  expect(clock(now + 600_000).state).toBe("ok");
  expect(clock(now + 3_600_000)).toEqual({
    state: "FAIL",
    text:
      "the newest sample (2024-10-04T13:00:00.000Z) is 60 min ahead of the clock: the clock is wrong, or was wrong when " +
      "the sample was stored",
  });
  expect(clock(now - 60_000).text).toBe("the newest sample is 60 s old");
  expect(clock(now, -7_000)).toEqual({
    state: "FAIL",
    text: "the gateway's clock is -7 s ahead of the clock of this machine",
  });
});

describe("--repair", () => {
  test("stores what can be read of a damaged journal, and the gateway starts", async () => {
    const data = copied();
    const journal = join(data, "store.duckdb.journal");
    const bytes = readFileSync(journal);
    // The second record of four, behind the header page and a head of 32 bytes with its payload.
    const second = 4_096 + 32 + bytes.readUInt32LE(4_096);
    bytes[second + 40]! ^= 1;
    writeFileSync(journal, bytes);
    const before = await doctor(data);
    expect(before.code).toBe(11);
    expect(before.checks.store!.text).toStartWith(
      `${journal} is damaged: record 2 at byte ${second} cannot be read`,
    );
    const refused = await GatewayProcess.startToEnd({ data });
    expect(refused).toMatchObject({ exitCode: 1, log: `weir serve: ${before.checks.store!.text}\n` });

    const repaired = await doctor(data, "--repair");
    expect(repaired.out).toMatch(
      /^The journal is repaired\. Lost: 1 record that cannot be read\. The journal as it was is .*store\.duckdb\.journal\.damaged-\d{8}T\d{6}Z\.\n/,
    );
    expect(repaired.code).toBe(0);
    const kept = readdirSync(data).find((name) => name.includes(".damaged-"))!;
    expect(readFileSync(join(data, kept)).equals(bytes)).toBe(true);
    const again = await GatewayProcess.start({ data, args: ["--no-sampler"] });
    const { out } = await weir([
      "sql",
      "--format",
      "csv",
      "--url",
      again.url,
      "SELECT value FROM doctor_test ORDER BY 1",
    ]);
    expect(out.trim().split(/\r?\n/)).toEqual(["value", "1", "2", "4", "5"]);
    expect(await again.stop("SIGTERM")).toBe(0);
  });

  test("says that deletions of lost commits are undone, and quotes paths in the commands that it suggests", async () => {
    const data = join(temporaryFolder(), "my data");
    const running = await GatewayProcess.start({ data, args: ["--no-sampler", "--enable-admin-api"] });
    const log = join(data, "store.duckdb.wal");
    await push(running.url, 1);
    const before = statSync(log).size;
    const env = { WEIR_URL: running.url };
    expect((await weir(["delete", "--match", '{"doctor.test"}'], { env })).out).toBe("Deleted 1 sample.\n");
    await push(running.url, 2);
    await running.stop("SIGKILL");
    truncateSync(log, before);
    const refused = await doctor(data);
    expect(refused.checks.store!.text).toContain(`run "weir doctor --repair --data '${data}'"`);
    const { out } = await doctor(data, "--repair");
    expect(out).toContain(
      "Samples and groups that the lost commits deleted are stored again: delete them again. Retention drops its days again " +
        "by itself.\n",
    );
    const again = await GatewayProcess.start({ data, args: ["--no-sampler"] });
    const sql = ["sql", "--format", "csv", "--url", again.url, "SELECT value FROM doctor_test ORDER BY 1"];
    expect((await weir(sql)).out.trim().split(/\r?\n/)).toEqual(["value", "1", "2"]);
    expect(await again.stop("SIGTERM")).toBe(0);
  });

  test("salvages a damaged database into a new folder, says what is lost and what to do next", async () => {
    const data = copied();
    const stopped = await GatewayProcess.start({ data, args: ["--no-sampler"] });
    expect(await stopped.stop("SIGTERM")).toBe(0);
    const path = join(data, "store.duckdb");
    const bytes = readFileSync(path);
    // Unused bytes of a header, which has a checksum.
    bytes[4_096 + 3_000]! ^= 1;
    writeFileSync(path, bytes);
    const before = await doctor(data);
    expect(before.code).toBe(11);
    expect(before.checks.store!.text).toContain('run "weir doctor --repair');
    const salvaged = await doctor(data, "--repair");
    const made = /^What can be read of it is in the new folder (.*):$/m.exec(salvaged.out)![1]!;
    expect(salvaged.out).toMatch(
      /^The store in .* is damaged: Corrupt database file: .*\. Its files were not changed\.\n.*:\n\nday +samples +lost *\n[-\d]{10} +5 +0 *\n- A header of the database was damaged\. Its fields are possible, and were used\.\n\nNext:\n1\. /,
    );
    // The damaged folder is still there.
    expect(salvaged.code).toBe(11);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    const next = join(temporaryFolder(), "data");
    expect((await weir(["restore", made, "--data", next])).out).toContain(": 5 samples of 1 day, ");
  });

  test("does nothing to a store that can be read, and nothing beside a gateway", async () => {
    const data = copied();
    const { code, out } = await doctor(data, "--repair");
    expect({ code, first: out.split("\n")[0] }).toEqual({
      code: 0,
      first: "Database, log and journal can be read; nothing was repaired.",
    });
    const running = await doctor(join(folder, "running"), "--repair");
    expect({ code: running.code, out: running.out }).toEqual({ code: 1, out: "" });
    expect(running.err).toContain("is open in another process; stop it first");
  });
});

test("rejects unknown arguments", async () => {
  mkdirSync(join(folder, "empty"));
  expect((await weir(["doctor", "--heal"])).code).toBe(2);
  expect((await weir(["doctor", "--data", join(folder, "empty"), "more"])).code).toBe(2);
});

test("16: the gateway needs a token, and rejects the sample", async () => {
  const data = join(folder, "running");
  const created = await weir(["token", "create", "--name", "ci", "--scope", "push,sql", "--data", data]);
  expect(created.code).toBe(0);
  const url = `${gateway.url}/api/v1/sql?query=SELECT+1`;
  await until("the token to be read", async () => (await fetch(url)).status === 401);
  const without = await doctor(data, "--url", gateway.url);
  expect({ code: without.code, state: without.checks["round trip"]?.state }).toEqual({
    code: 16,
    state: "FAIL",
  });
  const env = { WEIR_TOKEN: created.out.trim() };
  const args = ["doctor", "--data", data, FREE, "--url", gateway.url];
  expect((await weir(args, { env })).code).toBe(0);
});
