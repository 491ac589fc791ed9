/**
 * The scripts that users start. They are POSIX sh, find a recent Bun or install the pinned one through npm, install the
 * locked dependencies once, and are replaced by the program.
 *
 * npm is a stand-in on PATH here, since a test must not need the network: it lays out what the registry's
 * package does, with this very Bun as the binary. Copies of the repository share its node_modules' content.
 */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { temporaryFolder } from "../temporary-folder.ts";

const ROOT = join(import.meta.dir, "../..");
const BUN = process.execPath;
const PINNED = manifest.packageManager.replace("bun@", "");
/** Where the system's own tools are, and no Bun. */
const SYSTEM = "/usr/local/bin:/usr/bin:/bin";

/** An executable sh script. */
function executable(path: string, body: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

function run(
  command: readonly string[],
  options: { cwd?: string; path?: string; env?: Record<string, string> } = {},
) {
  const { cwd = ROOT, path = `${dirname(BUN)}:${SYSTEM}`, env = {} } = options;
  const child = Bun.spawnSync([...command], {
    cwd,
    env: { HOME: tmpdir(), ...env, PATH: path },
    stdin: "ignore",
  });
  return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
}

/** A copy of what the scripts need, with a program that prints its arguments and folder in place of the gateway. */
function checkout(): string {
  const root = temporaryFolder();
  for (const path of ["package.json", "bun.lock", "bunfig.toml"]) cpSync(join(ROOT, path), join(root, path));
  mkdirSync(join(root, "scripts"));
  for (const name of ["serve", "weir", "bun.sh"])
    cpSync(join(ROOT, "scripts", name), join(root, "scripts", name));
  mkdirSync(join(root, "src"));
  writeFileSync(
    join(root, "src/main.ts"),
    `process.on("SIGTERM", () => process.exit(7));
     console.log(JSON.stringify({ argv: process.argv.slice(2), cwd: process.cwd(), pid: process.pid, secret: process.env.FROM_DOTENV ?? null }));
     if (process.argv.includes("--wait")) setInterval(() => {}, 1e6);`,
  );
  return root;
}

/** A Bun on PATH that answers `install` itself, and notes that it was asked. */
function bunOnPath(version: string): { path: string; calls: () => string[] } {
  const bin = temporaryFolder();
  const log = join(bin, "calls");
  executable(
    join(bin, "bun"),
    `case $1 in
      --version) echo ${version} ;;
      install) mkdir -p node_modules; echo "$*" >>'${log}' ;;
      *) exec '${BUN}' "$@" ;;
    esac`,
  );
  return {
    path: `${bin}:${SYSTEM}`,
    calls: () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []),
  };
}

/** An npm on PATH that lays out the registry's package, as npm does where postinstall scripts do not run. */
function npmOnPath(binary: string): { path: string; calls: () => string[] } {
  const bin = temporaryFolder();
  const log = join(bin, "calls");
  executable(
    join(bin, "npm"),
    `echo "$*" >>'${log}'
    while [ "$1" != --prefix ]; do shift; done
    mkdir -p "$2/node_modules/bun/bin" "$2/node_modules/@oven/bun-linux-alien/bin" "$2/node_modules/@oven/bun-linux-x64/bin"
    echo 'exit 1' >"$2/node_modules/bun/bin/bun.exe"
    printf 'not a program' >"$2/node_modules/@oven/bun-linux-alien/bin/bun"
    cp '${binary}' "$2/node_modules/@oven/bun-linux-x64/bin/bun"
    chmod +x "$2"/node_modules/@oven/*/bin/bun`,
  );
  return {
    path: `${bin}:${SYSTEM}`,
    calls: () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []),
  };
}

describe("the scripts", () => {
  test("are clean POSIX sh", () => {
    for (const name of ["bun.sh", "serve", "demo", "test", "weir", "bench", "install", "torture"]) {
      expect(run(["sh", "-n", `scripts/${name}`])).toEqual({ code: 0, out: "", err: "" });
    }
    expect(run(["bash", "-n", ".ci/run"])).toEqual({ code: 0, out: "", err: "" });
  });

  test("the command line prints its version, from any folder and through a link", () => {
    const { out } = run(["scripts/weir", "--version"]);
    const [, version] =
      /^weir (\S+) \(commit (?:unknown|[0-9a-f]{12}), Bun \S+, DuckDB \S+\)\n$/.exec(out) ?? [];
    expect(version).toBe(manifest.version);
    const elsewhere = temporaryFolder();
    symlinkSync(join(ROOT, "scripts/weir"), join(elsewhere, "weir"));
    expect(run(["./weir", "--version"], { cwd: elsewhere })).toMatchObject({
      code: 0,
      out,
    });
  });

  test("the command line of an installed package runs through npm's link, and installs nothing", () => {
    const modules = join(temporaryFolder(), "node_modules");
    cpSync(checkout(), join(modules, "weir"), { recursive: true });
    mkdirSync(join(modules, ".bin"));
    symlinkSync(`../weir/${manifest.bin.weir}`, join(modules, ".bin/weir"));
    const { path, calls } = bunOnPath("1.4.0");
    const { out, err } = run([join(modules, ".bin/weir"), "demo"], { path });
    expect({ argv: JSON.parse(out).argv, err }).toEqual({ argv: ["demo"], err: "" });
    expect(calls()).toEqual([]);
  });

  test("arguments and the caller's folder reach the program; its .env does not", () => {
    const root = checkout();
    const { path } = bunOnPath("1.4.0");
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, ".env"), "FROM_DOTENV=1\n");
    const { out, code } = run([join(root, "scripts/serve"), "--data", "a b", "*", ""], { cwd, path });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ argv: ["serve", "--data", "a b", "*", ""], cwd, secret: null });
  });

  test("signals reach the program, and its exit code is the script's", async () => {
    const root = checkout();
    const { path } = bunOnPath("2.0.0");
    const child = Bun.spawn([join(root, "scripts/serve"), "--wait"], {
      env: { PATH: path },
      stdout: "pipe",
      stderr: "ignore",
    });
    for await (const chunk of child.stdout) {
      // The same process: the script became the program.
      expect(JSON.parse(new TextDecoder().decode(chunk)).pid).toBe(child.pid);
      child.kill("SIGTERM");
    }
    expect(await child.exited).toBe(7);
  });

  test("a script that ends at its first error installs them too, in a fresh clone", () => {
    const root = checkout();
    cpSync(join(ROOT, "scripts/build-page"), join(root, "scripts/build-page"));
    mkdirSync(join(root, "scripts/build-page.d"));
    writeFileSync(join(root, "scripts/build-page.d/build-page.ts"), 'console.log("built");');
    const { path, calls } = bunOnPath("1.4.5");
    expect(run([join(root, "scripts/build-page")], { path })).toEqual({
      ...{ code: 0, out: "built\n" },
      err: "scripts/build-page: installing the locked dependencies\n",
    });
    expect(calls()).toEqual(["install --frozen-lockfile --production"]);
  });

  test("dependencies are installed once, from the frozen lock, and again when it changes", () => {
    const root = checkout();
    const { path, calls } = bunOnPath("1.4.5");
    const first = run([join(root, "scripts/weir")], { path });
    expect(first.err).toBe("scripts/weir: installing the locked dependencies\n");
    const second = run([join(root, "scripts/weir")], { path });
    expect(second.err).toBe("");
    expect(calls()).toEqual(["install --frozen-lockfile --production"]);

    writeFileSync(join(root, "bun.lock"), "changed");
    expect(run([join(root, "scripts/weir")], { path }).err).toContain("installing the locked dependencies");
    expect(calls()).toHaveLength(2);
  });

  test("if no Bun is recent enough, the pinned one is installed through npm, once", () => {
    const root = checkout();
    // The binary is the stand-in from above, so that `bun install` asks no registry either.
    const standIn = join(bunOnPath(PINNED).path.split(":")[0], "bun");
    const npm = npmOnPath(standIn);
    executable(join(npm.path.split(":")[0], "bun"), "echo 1.3.14");
    const first = run([join(root, "scripts/weir"), "x"], { path: npm.path });
    expect(first).toMatchObject({ code: 0 });
    expect(first.err).toStartWith(
      `scripts/weir: installing Bun ${PINNED} from the npm registry into node_modules\n`,
    );
    expect(JSON.parse(first.out).argv).toEqual(["x"]);
    expect(run([join(root, "scripts/weir")], { path: npm.path })).toMatchObject({ code: 0, err: "" });
    expect(npm.calls()).toHaveLength(1);
    expect(npm.calls()[0]).toEndWith(`bun@${PINNED}`);
  });

  test("installed files are readable by every user, whatever the umask", () => {
    const root = checkout();
    const npm = npmOnPath(join(bunOnPath(PINNED).path.split(":")[0], "bun"));
    executable(join(npm.path.split(":")[0], "bun"), "echo 1.3.14");
    const weir = join(root, "scripts/weir");
    expect(run(["sh", "-c", `umask 077; "${weir}"`], { path: npm.path })).toMatchObject({ code: 0 });
    const hidden = () => run(["find", join(root, "node_modules"), "!", "-perm", "-444"]).out;
    expect(hidden()).toBe("");
    // As an earlier version left it: the next start by its owner opens it.
    chmodSync(join(root, `node_modules/.bun-${PINNED}`), 0o700);
    expect(run([weir], { path: npm.path })).toMatchObject({ code: 0, err: "" });
    expect(hidden()).toBe("");
  });

  test("the error without Bun and npm names what is needed", () => {
    const root = checkout();
    // Only what the scripts themselves use.
    const bin = temporaryFolder();
    for (const tool of ["sh", "dirname", "readlink", "sed", "cat", "uname", "cksum", "mkdir", "mktemp"]) {
      symlinkSync(Bun.which(tool, { PATH: SYSTEM }) ?? "", join(bin, tool));
    }
    expect(run([join(root, "scripts/weir")], { path: bin })).toEqual({
      code: 1,
      out: "",
      err: "scripts/weir: needs Bun 1.4 or later on PATH, or npm to install it.\n",
    });
  });

  test("a Bun that npm brought but that does not run here is reported, not started", () => {
    const root = checkout();
    const broken = temporaryFolder();
    executable(join(broken, "bun"), "exit 132");
    const { code, err } = run([join(root, "scripts/weir")], { path: npmOnPath(join(broken, "bun")).path });
    expect(code).toBe(1);
    expect(err).toContain(`Bun ${PINNED} has no binary that runs on this machine`);
  });

  test("a start uses the bundle only if neither a source nor Bun has changed since it was made", () => {
    const root = checkout();
    const { path } = bunOnPath("1.4.0");
    const main = join(root, "src/main.ts");
    mkdirSync(join(root, "scripts/build.d"));
    writeFileSync(
      join(root, "scripts/build.d/serve-bundle.ts"),
      'await Bun.write(process.argv[2] + "/main.js", `console.log("bundle", process.argv.slice(2).join())`);\n' +
        'console.log("node_modules/a/index.js");',
    );
    expect(run([join(root, "scripts/weir")], { path }).code).toBe(0);
    const used = join(root, "node_modules/a/index.js");
    mkdirSync(dirname(used));
    writeFileSync(used, "1");
    const script = '. "$(dirname "$self")/bun.sh"; need_bun; make_bundle "$@"';
    const make = () =>
      expect(run(["env", `self=${root}/scripts/serve`, "sh", "-c", script], { path })).toMatchObject({
        code: 0,
      });
    // A start from the sources makes a bundle beside it, for the next one. Here it gets no lock for that.
    const unlocked = temporaryFolder();
    executable(join(unlocked, "mkdir"), "exit 1");
    const start = (bun = path) => {
      const { out } = run([join(root, "scripts/serve"), "x"], { path: `${unlocked}:${bun}` });
      return out.startsWith("bundle serve,x") ? "bundle" : out.includes('"argv"') ? "sources" : out;
    };
    const folders = () =>
      readdirSync(join(root, "node_modules")).filter((name) => /^\.weir-\w{6}$/.test(name));

    make();
    linkSync(used, join(temporaryFolder(), "linked.js"));
    expect(start()).toBe("bundle");
    expect(start(bunOnPath("1.4.0").path)).toBe("sources");

    for (const changed of [main, used, join(root, "bun.lock")]) {
      make();
      expect(start()).toBe("bundle");
      const { atime, mtime } = statSync(changed);
      const content = readFileSync(changed, "utf8");
      // Of the same size, and with the same time of the change as before.
      writeFileSync(changed, content.replace(/.$/m, " "));
      // Of packages, the time of the change counts. The other one changes with each further link to the file.
      if (changed !== used) utimesSync(changed, atime, mtime);
      expect(start()).toBe("sources");
      // A start with another lock installs first.
      run([join(root, "scripts/weir")], { path });
    }
    make();
    writeFileSync(join(root, "src/new.ts"), "");
    expect(start()).toBe("sources");
    make();
    expect(start()).toBe("bundle");
    expect(folders()).toHaveLength(1);

    // As after a loss of power: the names are there, and the contents are not. Bun would end without an error.
    const [folder] = folders();
    writeFileSync(join(root, "node_modules", folder!, "main.js"), "");
    expect(start()).toBe("sources");
    rmSync(join(root, "node_modules", folder!), { recursive: true });
    expect(start()).toBe("sources");
    make();
    expect(start()).toBe("bundle");
  });

  test("a bundle that a gateway runs from stays, also if its process cannot be seen", async () => {
    const root = checkout();
    const { path } = bunOnPath("1.4.0");
    mkdirSync(join(root, "scripts/build.d"));
    writeFileSync(
      join(root, "scripts/build.d/serve-bundle.ts"),
      'await Bun.write(process.argv[2] + "/main.js", "console.log(process.pid); process.stdin.resume();");\n',
    );
    expect(run([join(root, "scripts/weir")], { path }).code).toBe(0);
    // With hidepid, /proc has no process of another user.
    const blind = temporaryFolder();
    executable(join(blind, "grep"), "exit 1");
    const make = () =>
      run(
        [
          "env",
          `self=${root}/scripts/serve`,
          "sh",
          "-c",
          '. "$(dirname "$self")/bun.sh"; need_bun; make_bundle',
        ],
        {
          path: `${blind}:${path}`,
        },
      );
    const folders = () =>
      readdirSync(join(root, "node_modules"))
        .filter((name) => /^\.weir-\w{6}$/.test(name))
        .sort();

    expect(make().code).toBe(0);
    const [first] = folders();
    // The caller has a lock of his own, by the descriptor that a script would take first.
    const own = join(temporaryFolder(), "lock");
    const child = Bun.spawn(["sh", "-c", `exec 9>'${own}' && flock 9 && exec '${root}/scripts/serve'`], {
      env: { PATH: path },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    const { value } = await child.stdout.getReader().read();
    // The same process as the script, started from the bundle.
    expect(new TextDecoder().decode(value)).toBe(`${child.pid}\n`);
    writeFileSync(join(root, "src/new.ts"), "");
    expect(make().code).toBe(0);
    expect(folders()).toHaveLength(2);
    expect(folders()).toContain(first!);
    expect(run(["flock", "-n", own, "true"]).code).toBe(1);

    child.stdin.end();
    expect(await child.exited).toBe(0);
    writeFileSync(join(root, "src/other.ts"), "");
    expect(make().code).toBe(0);
    expect(folders()).toHaveLength(1);
    expect(folders()).not.toContain(first!);
  });
});

test("scripts/fuzz rejects an option that it does not have, and says what it expects", () => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([join(ROOT, "scripts/fuzz"), "1", "--seconds", "5"]);
  expect([exitCode, `${stdout}`, `${stderr}`]).toEqual([
    2,
    "",
    'fuzz: there is no option "--seconds", expected minutes and test files: scripts/fuzz [MINUTES] [TEST FILES]\n',
  ]);
});
