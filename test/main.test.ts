/**
 * The command line: which command runs, what it prints on which output, and the exit code.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import type { Io } from "../src/commands/command.ts";
import { describeSettings } from "../src/config/config.ts";
import { main } from "../src/main.ts";

/** Runs a command line with files and variables. Returns its output and its exit code. */
async function weir(
  argv: readonly string[],
  files: Record<string, string> = {},
  env: Record<string, string> = {},
  stdoutIsClosed = false,
) {
  const printed = { out: "", err: "" };
  const output = (to: "out" | "err") => ({
    write: async (data: string | Uint8Array) => {
      if (to === "out" && stdoutIsClosed) throw Object.assign(new Error("broken pipe"), { code: "EPIPE" });
      printed[to] += typeof data === "string" ? data : new TextDecoder().decode(data);
    },
    isTerminal: false,
    columns: 80,
  });
  const io: Io = {
    stdout: output("out"),
    stderr: output("err"),
    stdinIsTerminal: true,
    stdin: () => new Blob([]).stream(),
    env,
    readFile: (path) => files[path],
  };
  const code = await main(argv, io);
  return { code, ...printed };
}

/** The version of the library itself. */
async function duckdbVersion(): Promise<string> {
  const { default: duckdb } = await import("@duckdb/node-bindings");
  return duckdb.library_version().replace(/^v/, "");
}

function currentCommit(): string {
  const { success, stdout } = Bun.spawnSync(["git", "rev-parse", "HEAD"], { cwd: import.meta.dir });
  return success ? stdout.toString().slice(0, 12) : "unknown";
}

describe("weir", () => {
  test("--version prints the version, the commit, and the versions of Bun and DuckDB", async () => {
    const duckdb = await duckdbVersion();
    for (const name of ["--version", "-V", "version"]) {
      const { code, out, err } = await weir([name]);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      const [, version, commit, ...others] =
        /^weir (\S+) \(commit (unknown|[0-9a-f]{12}), Bun (\S+), DuckDB (\S+)\)\n$/.exec(out) ?? [];
      expect({ version, others }).toEqual({ version: manifest.version, others: [Bun.version, duckdb] });
      expect(commit).toBe(currentCommit());
    }
  });

  test("help lists every command, on stdout only if help was requested", async () => {
    const { code, out, err } = await weir(["help"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    for (const name of ["serve", "import", "export", "sql", "summary", "promql", "check", "help"]) {
      expect(out).toMatch(new RegExp(`^  ${name} +[a-z]`, "m"));
    }
    expect(await weir([])).toEqual({ code: 2, out: "", err: out });
    expect((await weir(["help", "--help"])).out).toBe(out);
  });

  test("every command prints its usage, with help and with --help", async () => {
    for (const name of ["serve", "import", "export", "sql", "summary", "promql", "check"]) {
      const { code, out, err } = await weir([name, "--help"]);
      expect({ name, code, err }).toEqual({ name, code: 0, err: "" });
      expect(out).toStartWith(`Usage: weir ${name}`);
      expect(out.split("\n").filter((line) => line.length > 110)).toEqual([]);
      expect((await weir(["help", name])).out).toBe(out);
    }
  });

  test("the error for an unknown command suggests a similar one, if there is one", async () => {
    expect(await weir(["chekc"])).toEqual({
      code: 2,
      out: "",
      err: 'weir: There is no command "chekc". Did you mean "weir check"? "weir help" lists them.\n',
    });
    expect(await weir(["--url", "http://127.0.0.1:9091", "sql"])).toEqual({
      code: 2,
      out: "",
      err: 'weir: "--url" precedes the command; put options after the command. "weir help" lists the commands.\n',
    });
    expect((await weir(["help", "constructor"])).err).toBe(
      'weir: There is no command "constructor". "weir help" lists them.\n',
    );
  });
});

test("weir serve reports a data folder that cannot be used", async () => {
  const { code, err } = await weir(["serve", "--listen=127.0.0.1:0", "--data", import.meta.path]);
  expect(code).toBe(2);
  expect(err).toStartWith(
    `weir serve: data is "${import.meta.path}", which cannot be created as a folder: EEXIST`,
  );
});

describe("weir check", () => {
  test("prints every setting, its value and where it came from", async () => {
    const { code, out, err } = await weir(
      ["check", "--retention-days=30"],
      { "weir.toml": "threads = 4\n" },
      { WEIR_DATA: "/srv/weir", WEIR_THREDS: "9" },
    );
    expect(code).toBe(0);
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(rows.map(([key]) => key)).toEqual(describeSettings().map(({ key }) => key));
    expect(rows).toContainEqual(["retentionDays", "30", "--retention-days"]);
    expect(rows).toContainEqual(["threads", "4", "weir.toml"]);
    expect(rows).toContainEqual(["data", "/srv/weir", "WEIR_DATA"]);
    expect(rows).toContainEqual(["bodyBytesMax", "32MiB", "default"]);
    expect(err).toBe(
      "weir check: warning: the variable WEIR_THREDS (did you mean WEIR_THREADS?) is not a setting.\n",
    );
  });

  test("reports an invalid setting, with exit code 2", async () => {
    expect(await weir(["check", "--threads", "none"])).toEqual({
      code: 2,
      out: "",
      err: 'weir check: --threads is "none", expected a whole number.\nRun "weir check --help" for its usage.\n',
    });
  });

  test("its help lists every setting", async () => {
    const { out } = await weir(["check", "--help"]);
    for (const { flag } of describeSettings()) expect(out).toContain(`  ${flag} (`);
  });
});

describe("the process", () => {
  const program = join(import.meta.dir, "../src/main.ts");

  test("exits with the command's exit code", () => {
    const child = Bun.spawnSync([process.execPath, program, "check", "--florp"]);
    expect(child.exitCode).toBe(2);
    expect(child.stdout.toString()).toBe("");
  });

  test("does not fail if the reader of its output ends early", async () => {
    // The exit code of the process is that of the pipe, since head exits with 0.
    const command = `set -o pipefail; '${process.execPath}' '${program}' check --help | head -n 1`;
    const child = Bun.spawn(["bash", "-c", command], { stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    expect({ out, err, code }).toEqual({ out: "Usage: weir check [SETTINGS]\n", err: "", code: 0 });
    // If the pipe is closed before the first write, the write itself fails.
    expect(await weir(["check"], {}, {}, true)).toEqual({ code: 0, out: "", err: "" });
    expect(await weir(["--version"], {}, {}, true)).toEqual({ code: 0, out: "", err: "" });
  });
});
