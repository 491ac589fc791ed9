/**
 * The installation that scripts/deploy/README.md documents: root copies a clone and installs it, from a shell
 * whose umask is 077; then another user starts it by the command of the unit, where there is no network. Only
 * root can become another user, and make a network without an outside.
 *
 * npm is a stand-in, and the packages are copies of this checkout's, so that the test itself needs no network
 * either.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import manifest from "../../../package.json" with { type: "json" };
import { parseLogfmt } from "../../log/logfmt.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const ROOT = join(import.meta.dir, "../../..");
const PINNED = manifest.packageManager.replace("bun@", "");
const NOBODY = "65534";
/** What systemd gives a service. */
const SERVICE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Of the packages, those that only checks use. */
const CHECKS_ONLY = /^(\.|@biomejs$|@typescript$|typescript$|bun-types$)/;

const canRun =
  process.platform === "linux" &&
  process.getuid?.() === 0 &&
  ["unshare", "nsenter", "setpriv", "ip"].every((tool) => Bun.which(tool) !== null) &&
  Bun.spawnSync(["unshare", "--net", "ip", "link", "set", "lo", "up"], { stderr: "ignore" }).success;

describe.skipIf(!canRun)("installed as documented (needs root)", () => {
  let base = "";
  let service: Bun.Subprocess<"ignore", "pipe", "pipe"> | undefined;
  const opt = () => join(base, "opt/weir");
  const data = () => join(base, "var/weir");

  beforeAll(() => {
    base = temporaryFolder();
    chmodSync(base, 0o755);
    for (const folder of ["opt", "var/weir", "bin"]) mkdirSync(join(base, folder), { recursive: true });
    Bun.spawnSync(["chown", `${NOBODY}:${NOBODY}`, data()]);
    const clone = join(base, "clone");
    for (const path of ["src", "sql", "scripts", "package.json", "bun.lock", "bunfig.toml", "README.md"]) {
      cpSync(join(ROOT, path), join(clone, path), { recursive: true });
    }
    for (const name of readdirSync(join(ROOT, "node_modules")).filter((each) => !CHECKS_ONLY.test(each))) {
      cpSync(join(ROOT, "node_modules", name), join(clone, "node_modules", name), { recursive: true });
    }
    // A umask that hides what it makes, as hardened machines have it for root.
    const npm = join(base, "bin/npm");
    writeFileSync(
      npm,
      `#!/bin/sh
      umask 077
      while [ "$1" != --prefix ]; do shift; done
      mkdir -p "$2/node_modules/@oven/bun-linux-x64/bin"
      cp '${process.execPath}' "$2/node_modules/@oven/bun-linux-x64/bin/bun"
      chmod 700 "$2/node_modules/@oven/bun-linux-x64/bin/bun"\n`,
    );
    chmodSync(npm, 0o755);
  });

  afterAll(async () => {
    service?.kill("SIGKILL");
    await service?.exited;
  });

  /** Runs a shell's text as root, with a umask of 077 and no network. */
  function asRoot(text: string): { code: number; err: string } {
    const { exitCode, stderr } = Bun.spawnSync(["unshare", "--net", "sh", "-c", `umask 077\n${text}`], {
      env: { HOME: join(base, "root"), PATH: `${join(base, "bin")}:${SERVICE_PATH}` },
    });
    return { code: exitCode, err: stderr.toString() };
  }

  /** What the unit says, with the folders of this test. */
  function unit(key: string): string[] {
    const text = readFileSync(join(ROOT, "scripts/deploy/systemd/weir.service"), "utf8");
    return [...text.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value]) =>
      value!.replaceAll("/opt/weir", opt()).replaceAll("/var/lib/weir", data()),
    );
  }

  /** The command of the unit, as another user, with the unit's variables, folder and umask, without a network. */
  function start() {
    const become = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--no-new-privs"];
    const text = `ip link set lo up; umask ${unit("UMask")[0]}; cd "${unit("WorkingDirectory")[0]}"; exec "$@"`;
    const run = [
      "env",
      "-i",
      `PATH=${SERVICE_PATH}`,
      "HOME=/",
      ...unit("Environment"),
      unit("ExecStart")[0]!,
    ];
    return Bun.spawn(["unshare", "--net", "sh", "-c", text, "sh", ...become, ...run], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** Sends a request from within the network of the service. */
  function ask(path: string, init: RequestInit = {}): unknown {
    const program = `const answer = await fetch("http://127.0.0.1:9091${path}", ${JSON.stringify(init)});
      console.log(JSON.stringify([answer.status, await answer.json()]))`;
    const { stdout, stderr } = Bun.spawnSync([
      ...["nsenter", `--net=/proc/${service!.pid}/ns/net`],
      ...[process.execPath, "-e", program],
    ]);
    const text = stdout.toString();
    if (text === "") throw new Error(stderr.toString());
    return JSON.parse(text);
  }

  test("another user without an installation gets the command to run", async () => {
    const cloneOnly = `cp -r "${base}/clone/." "${opt()}" && rm -rf "${opt()}/node_modules" && chmod -R go+rX "${opt()}"`;
    expect(asRoot(`mkdir -p "${opt()}" && ${cloneOnly}`)).toEqual({ code: 0, err: "" });
    const child = start();
    expect(await child.stderr.text()).toBe(
      `scripts/serve: Bun ${PINNED} is not installed, and user nobody may not write to ${opt()}: ` +
        `run "${opt()}/scripts/install" as its owner.\n`,
    );
    expect(await child.exited).toBe(1);
    rmSync(opt(), { recursive: true });
  });

  test("the service starts as another user without a network, and stores events", async () => {
    const document = readFileSync(join(ROOT, "scripts/deploy/README.md"), "utf8");
    const commands = /## The service\n+```\n([\s\S]*?)```/.exec(document)![1]!.split("\n");
    const [copy, install] = ["sudo mkdir", "sudo /opt/weir"].map((begin) =>
      commands.find((line) => line.startsWith(begin))!.replace(/#.*$/, ""),
    );
    const installed = asRoot(
      `cd "${base}" && mv clone weir
       sudo() { "$@"; }
       ${copy!.replaceAll("/opt/weir", `"${opt()}"`)}
       ${install!.replaceAll("/opt/weir", opt())}`,
    );
    expect(installed.code).toBe(0);
    expect(installed.err).toContain(`scripts/install: installed with Bun ${PINNED}`);
    expect(installed.err).not.toContain("warning");

    service = start();
    // The unit asks for a format, so only the log says that it listens.
    let output = "";
    const started = Promise.withResolvers<void>();
    const read = async (lines: ReadableStream<Uint8Array>) => {
      for await (const bytes of lines) {
        output += new TextDecoder().decode(bytes);
        if (output.includes(" event=listening ")) started.resolve();
      }
      started.reject(new Error(output));
    };
    void read(service.stderr);
    await started.promise;
    const event = { metric_name: "m", value: 42 };
    expect(ask("/api/v1/push", { method: "POST", body: JSON.stringify(event) })).toMatchObject([
      200,
      { accepted: 1 },
    ]);
    expect(ask("/api/v1/sql?q=SELECT+value+FROM+m")).toMatchObject([200, { rows: [{ value: 42 }] }]);
    expect(ask("/-/ready")).toEqual([200, { status: "ready" }]);

    service.kill("SIGTERM");
    expect(await service.exited).toBe(0);
    // The checkout is root's: the service has written nothing there.
    const foreign = Bun.spawnSync(["find", opt(), "!", "-user", "0"]).stdout.toString();
    expect(foreign).toBe("");
    expect(statSync(join(data(), "store.duckdb")).uid).toBe(Number(NOBODY));
  });

  test("the error names the owner of the files if root has written to the folder of the service", async () => {
    const file = join(data(), "store.duckdb");
    chownSync(file, 0, 0);
    const child = start();
    const { event, error } = parseLogfmt((await child.stderr.text()).trimEnd());
    expect(event).toBe("start_failed");
    expect(error).toContain(
      `user ${NOBODY} cannot read and write "${file}", which belongs to user 0: run as that user, or "chown -R" the folder.`,
    );
    expect(await child.exited).toBe(2);
  });

  test("the error names the mode of the files if they belong to the service, and it may not write them", async () => {
    const file = join(data(), "store.duckdb");
    chownSync(file, Number(NOBODY), Number(NOBODY));
    chmodSync(file, 0o400);
    const child = start();
    const { error } = parseLogfmt((await child.stderr.text()).trimEnd());
    expect(error).toContain(
      `user ${NOBODY} cannot read and write "${file}", which belongs to this user: run "chmod -R u+rwX ${data()}".`,
    );
    expect(await child.exited).toBe(2);
  });
});
