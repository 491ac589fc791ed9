/** The data folder: any name works, and no other user can read its files. */
import { afterAll, describe, expect, mock, test } from "bun:test";
import fs, {
  chmodSync,
  existsSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { giveToOwner } from "../src/data-folder.ts";
import { weir } from "./commands/weir.ts";
import { GatewayProcess } from "./gateway-process.ts";
import { smallDisk } from "./small-disk.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const base = temporaryFolder();
const running: GatewayProcess[] = [];

afterAll(async () => {
  for (const each of running) await each.stop("SIGKILL");
});

async function start(data: string, options: { args?: string[]; cwd?: string; by?: string[] } = {}) {
  const { args = [] } = options;
  const gateway = await GatewayProcess.start({ ...options, data, args: ["--no-sampler", ...args] });
  running.push(gateway);
  return gateway;
}

const push = async (gateway: GatewayProcess, value: number) => {
  const body = JSON.stringify({ metric_name: "m", value });
  const answer = await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body });
  expect(answer.status).toBe(200);
};

/** The sum of all pushed values. */
const sum = async (gateway: GatewayProcess): Promise<unknown> => {
  const answer = await fetch(
    `${gateway.url}/api/v1/sql?q=${encodeURIComponent("SELECT sum(value) AS s FROM m")}`,
  );
  return ((await answer.json()) as { rows: { s: number }[] }).rows[0]?.s;
};

describe("a data folder's name", () => {
  const odd = [`a b #1 100%20 * [a-z] ä 数据 🙂 it's "it"\\ $HOME; x\ty\nz`, "file:x"];

  test.each(odd)("may be %j", async (name) => {
    const data = join(base, name, "data");
    const gateway = await start(data, { args: ["--enable-admin-api"] });
    await push(gateway, 41);
    expect(await sum(gateway)).toBe(41);
    // Written by another engine, in the folder for temporary files.
    const parquet = await fetch(`${gateway.url}/api/v1/sql?q=SELECT+value+FROM+m&format=parquet`);
    expect((await parquet.text()).slice(0, 4)).toBe("PAR1");
    const made = await fetch(`${gateway.url}/api/v1/admin/tsdb/snapshot`, { method: "POST" });
    expect(made.status).toBe(200);
    const { data: snapshot } = (await made.json()) as { data: { name: string } };
    await push(gateway, 1);
    expect(await gateway.stop("SIGTERM")).toBe(0);

    const again = await start(data);
    expect(await sum(again)).toBe(42);
    expect(await again.stop("SIGTERM")).toBe(0);
    const copy = await start(join(data, "snapshots", snapshot.name));
    expect(await sum(copy)).toBe(41);
    expect(await copy.stop("SIGTERM")).toBe(0);
  });

  test.each(["~", "sqlite:x", ":memory:", "s3:"])(
    "may be %j, relative to the working directory",
    async (name) => {
      const cwd = join(base, `in ${name.replaceAll(":", "-")}`);
      mkdirSync(cwd);
      const gateway = await start(name, { cwd });
      await push(gateway, 42);
      expect(await sum(gateway)).toBe(42);
      expect(await gateway.stop("SIGTERM")).toBe(0);
      expect(readdirSync(cwd)).toEqual([name]);
      expect(existsSync(join(cwd, name, "store.duckdb"))).toBe(true);
    },
  );

  test("is rejected if it leads to a path with a question mark, by a link or the working directory", async () => {
    const folder = join(base, "where?");
    mkdirSync(folder);
    symlinkSync(folder, join(base, "link"));
    for (const [data, cwd] of [
      [join(base, "link"), base],
      [join(base, "link/deep/er"), base],
      ["data", folder],
    ] as const) {
      const { exitCode, log } = await GatewayProcess.startToEnd({ data, cwd });
      expect(exitCode).toBe(2);
      expect(log).toContain("where?");
      expect(log).toContain('expected a path without "?"');
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  const refused: [string, string, string][] = [
    [
      "a question mark",
      "what?/data",
      'expected a path without "?": the database engine reads the rest after a "?" as options.',
    ],
    ["4,000 bytes", "long/".repeat(800), "bytes, expected at most 3900."],
    ["a part of 300 bytes", "x".repeat(300), "which cannot be created as a folder"],
  ];
  test.each(refused)("with %s is rejected before any file is made", async (_, name, sentence) => {
    const folder = mkdtempSync(join(base, "refused-"));
    const file = join(base, "events.json");
    writeFileSync(file, '{"metric_name":"m","value":1}\n');
    const data = join(folder, name);
    for (const args of [["serve"], ["import", file], ["check"]]) {
      const [command, ...rest] = args as [string, ...string[]];
      // An error that only appears when the folder is made is not an error of the settings.
      if (command === "check" && name.startsWith("x")) continue;
      const { code, err } = await weir([command, "--data", data, ...rest]);
      expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(sentence) });
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("files are readable by their owner alone", () => {
  /** The paths that other users may access, with their permissions. */
  function exposed(folder: string): string[] {
    const all = readdirSync(folder, { recursive: true, encoding: "utf8" });
    return all.filter((path) => statSync(join(folder, path)).mode & 0o077);
  }
  const openUmask = ["sh", "-c", 'umask 000; exec "$@"', "sh"];

  test("in a gateway's folder at any moment: log, journal, temporary files, snapshots", async () => {
    const data = join(base, "modes");
    const gateway = await start(data, { args: ["--enable-admin-api"], by: openUmask });
    // The first push makes the day's table, through the log. The second is small, and waits in the journal.
    await push(gateway, 1);
    await push(gateway, 2);
    const names = ["store.duckdb", "store.duckdb.journal", "store.duckdb.wal", "tmp"];
    expect(readdirSync(data).sort()).toEqual(names);
    expect(exposed(data)).toEqual([]);
    expect(statSync(data).mode & 0o777).toBe(0o700);
    await fetch(`${gateway.url}/api/v1/admin/tsdb/snapshot`, { method: "POST" });
    expect(readdirSync(data, { recursive: true })).toHaveLength(9);
    expect(exposed(data)).toEqual([]);
    await gateway.stop("SIGKILL");

    // The permissions of an earlier version.
    for (const name of names.slice(1, 3)) chmodSync(join(data, name), 0o644);
    const again = await start(data, { by: openUmask });
    expect(exposed(data)).toEqual([]);
    expect(await sum(again)).toBe(3);
    expect(await again.stop("SIGTERM")).toBe(0);
    expect(exposed(data)).toEqual([]);
  });

  test("if an import makes them, and if an export writes them", async () => {
    const data = join(base, "imported");
    const file = join(base, "to-import.json");
    writeFileSync(file, `${JSON.stringify({ metric_name: "m", value: 42, "@timestamp": Date.now() })}\n`);
    const umask = process.umask(0);
    try {
      expect((await weir(["import", "--data", data, file])).code).toBe(0);
      expect(readdirSync(data).length).toBeGreaterThan(0);
      expect(exposed(data)).toEqual([]);
      const gateway = await start(data);
      const exported = join(base, "exported");
      mkdirSync(exported);
      const to = ["--url", gateway.url, "--output", join(exported, "m.ndjson")];
      expect((await weir(["export", ...to])).code).toBe(0);
      expect(statSync(join(exported, "m.ndjson")).size).toBeGreaterThan(0);
      expect(exposed(exported)).toEqual([]);
      expect(await gateway.stop("SIGTERM")).toBe(0);
    } finally {
      process.umask(umask);
    }
  });

  test("except a Unix socket, whose mode follows the umask of the caller", async () => {
    const socket = join(base, "weir.sock");
    const by = ["sh", "-c", 'umask 007; exec "$@"', "sh"];
    const gateway = await start(join(base, "socket"), { args: ["--listen", `unix:${socket}`], by });
    expect(statSync(socket).mode & 0o777).toBe(0o770);
    expect((await fetch("http://localhost/-/ready", { unix: socket })).status).toBe(200);
    expect(await gateway.stop("SIGTERM")).toBe(0);
  });
});

describe.skipIf(process.getuid?.() !== 0)("commands of root in the folder of a service (needs root)", () => {
  const NOBODY = 65_534;
  /** The paths, the folder itself among them, that the service does not own. */
  const foreign = (folder: string) => {
    const real = realpathSync(folder);
    const paths = [".", ...readdirSync(real, { recursive: true, encoding: "utf8" })];
    return paths.filter((path) => lstatSync(join(real, path)).uid !== NOBODY);
  };
  const belong = (folder: string) =>
    expect(Bun.spawnSync(["chown", "-R", `${NOBODY}:${NOBODY}`, `${folder}/`]).exitCode).toBe(0);

  test("leave files that the service can open: compact, import and doctor --repair", async () => {
    // systemd keeps the folder behind a link.
    const data = join(base, "service-link");
    symlinkSync(join(base, "service"), data);
    mkdirSync(join(base, "service"));
    const file = join(base, "of-root.json");
    const lines = (...events: object[]) => events.map((event) => `${JSON.stringify(event)}\n`).join("");
    const startMs = Date.now() - 12 * 3_600_000;
    // Gauges of past hours, which become blocks.
    const gauge = (_: unknown, at: number) => ({
      ...{ metric_name: "depth", type: "gauge", value: at % 7, "@timestamp": startMs + at * 1_000 },
    });
    writeFileSync(file, lines(...Array.from({ length: 30_000 }, gauge)));
    expect((await weir(["import", "--data", data, file])).code).toBe(0);
    writeFileSync(file, lines({ metric_name: "m", value: 42, "@timestamp": Date.now() }));
    belong(data);
    expect((await weir(["compact", "--data", data])).out).toStartWith("Compacted ");
    expect(foreign(data)).toEqual([]);
    expect((await weir(["import", "--data", data, file])).code).toBe(0);
    expect(foreign(data)).toEqual([]);
    const store = join(data, "store.duckdb");
    const bytes = readFileSync(store);
    // Unused bytes of both headers, which have a checksum.
    for (const at of [4_096, 8_192]) bytes[at + 3_000]! ^= 1;
    writeFileSync(store, bytes);
    await weir(["doctor", "--repair", "--data", data]);
    expect(readdirSync(data).some((name) => name.startsWith("repaired-"))).toBe(true);
    expect(foreign(data)).toEqual([]);
  });

  test.skipIf(Bun.which("setpriv") === null)("are what another user is told to use", async () => {
    const closed = join(base, "closed");
    mkdirSync(closed, { mode: 0o700 });
    const run = (...argv: string[]) => {
      const become = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
      const child = Bun.spawnSync([
        ...become,
        process.execPath,
        join(import.meta.dir, "../src/main.ts"),
        ...argv,
      ]);
      return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
    };
    const sentence = `data is ${JSON.stringify(closed)}, which user ${NOBODY} cannot read: run the command as the user of the gateway, or as root.`;
    const elsewhere = join(base, "elsewhere");
    for (const argv of [["compact"], ["backup", elsewhere], ["sql", "SELECT 1"], ["doctor", "--repair"]]) {
      const { code, err } = run(...argv, "--data", closed);
      expect({ argv, code, err }).toEqual({ argv, code: 2, err: expect.stringContaining(sentence) });
    }
    const { code, out } = run("doctor", "--data", closed);
    expect(code).toBe(10);
    expect(out).toContain(
      `FAIL  permissions  user ${NOBODY} cannot read ${closed}: run the command as the user of the gateway, or as root\n` +
        `FAIL  store        ${closed} cannot be read\n`,
    );
  });

  test("do not give away files that are elsewhere, too", async () => {
    const data = join(base, "linked");
    const file = join(base, "of-root-linked.json");
    writeFileSync(file, `${JSON.stringify({ metric_name: "m", value: 42, "@timestamp": Date.now() })}\n`);
    expect((await weir(["import", "--data", data, file])).code).toBe(0);
    belong(data);
    linkSync(file, join(data, "a-hard-link"));
    symlinkSync(file, join(data, "a-link"));
    expect((await weir(["compact", "--data", data])).code).toBe(0);
    expect(statSync(file).uid).toBe(0);
    expect(foreign(data)).toEqual(["a-hard-link", "a-link"]);
  });

  test("do not follow a link that replaces a folder while its files are given", () => {
    const [data, elsewhere] = [join(base, "raced"), join(base, "of-root-only")];
    for (const folder of [data, join(data, "tmp"), elsewhere]) mkdirSync(folder);
    for (const folder of [join(data, "tmp"), elsewhere]) writeFileSync(join(folder, "file"), "");
    const real = { ...fs };
    void mock.module("node:fs", () => ({
      ...real,
      // The folder is open, and the next step reads it.
      fchownSync(file: number, uid: number, gid: number) {
        real.fchownSync(file, uid, gid);
        if (!fstatSync(file).isDirectory() || lstatSync(join(data, "tmp")).uid === 0) return;
        if (lstatSync(join(data, "tmp")).isSymbolicLink()) return;
        renameSync(join(data, "tmp"), join(data, "moved"));
        symlinkSync(elsewhere, join(data, "tmp"));
      },
    }));
    try {
      giveToOwner(data, { uid: NOBODY, gid: NOBODY });
    } finally {
      void mock.module("node:fs", () => real);
    }
    expect(statSync(join(elsewhere, "file")).uid).toBe(0);
    expect(statSync(join(data, "moved/file")).uid).toBe(NOBODY);
  });

  test("do not give away the files of a folder without a store", async () => {
    const data = join(base, "a-home");
    mkdirSync(data);
    belong(data);
    writeFileSync(join(data, "of-root"), "");
    for (const argv of [["doctor", "--repair"], ["compact"]])
      expect((await weir([...argv, "--data", data])).err).toContain("There is no store in");
    expect(foreign(data)).toEqual(["of-root"]);
  });

  test("restore into the folder that a link of systemd names, also if it does not exist any more", async () => {
    const file = join(base, "to-restore.json");
    writeFileSync(file, `${JSON.stringify({ metric_name: "m", value: 42, "@timestamp": Date.now() })}\n`);
    const backup = join(base, "to-restore");
    expect((await weir(["import", "--data", backup, file])).code).toBe(0);
    const [link, real] = [join(base, "state"), join(base, "private/state")];
    mkdirSync(real, { recursive: true });
    symlinkSync("private/state", link);
    belong(real);
    expect((await weir(["restore", backup, "--data", link])).code).toBe(0);
    expect(foreign(real)).toEqual([]);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    rmSync(real, { recursive: true });
    expect((await weir(["restore", backup, "--data", link])).code).toBe(0);
    expect(readdirSync(real)).toContain("store.duckdb");
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
  });
});

const disk = smallDisk("8m");

test.skipIf(!disk.isMounted)(
  "a start on a disk that is mounted read-only names the reason and ends with 1, so that systemd tries again (needs root)",
  async () => {
    const data = join(disk.path, "data");
    const gateway = await start(data, { args: ["--disk-reserve-bytes=0"] });
    await push(gateway, 1);
    await gateway.stop("SIGKILL");
    expect(Bun.spawnSync(["mount", "-o", "remount,ro", disk.path]).exitCode).toBe(0);
    const refused = await GatewayProcess.startToEnd({ data, args: ["--no-sampler"] });
    expect(refused.exitCode).toBe(1);
    expect(refused.log).toBe(
      `weir serve: data is ${JSON.stringify(data)}, which is on a disk that is mounted read-only: mount it for writing, or give ` +
        "--data a folder of another disk.\n",
    );
    expect(Bun.spawnSync(["mount", "-o", "remount,rw", disk.path]).exitCode).toBe(0);
    expect(await sum(await start(data, { args: ["--disk-reserve-bytes=0"] }))).toBe(1);
  },
);
