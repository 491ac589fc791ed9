/**
 * The command line: finds the command, passes it the process's input and output (`Io`), and returns an exit
 * code: 0 for success, 1 if the work failed, 2 if the arguments are wrong.
 *
 * Each command's modules are loaded when it runs, so that `weir sql` does not wait for the server's. gateway.ts
 * connects the rooms. commands/serve/serve.ts says in which order `weir serve` stops.
 */
import { readFileSync } from "node:fs";
import { COMMANDS } from "./commands/all-commands.ts";
import {
  codeOf,
  type Command,
  exitCode,
  faultText,
  type Io,
  type Output,
  UsageError,
} from "./commands/command.ts";
import { SettingError } from "./config/config.ts";
import { nearest } from "./model/nearest.ts";
import { innerName } from "./program/program-command.ts";
import { beginStart } from "./program/start-policy.ts";
import { alignedRows } from "./query/formats/aligned-text.ts";

/** Other processes of the program, which the one file starts by these names. */
const INNER: Readonly<Record<string, (argv: readonly string[]) => Promise<number>>> = {
  [innerName("copy-files")]: async ([json]) => {
    const { copyProcess } = await import("./store/backup/copy-process.ts");
    return copyProcess(json);
  },
  [innerName("demo-worker")]: async (argv) => {
    const { clientWorker } = await import("./commands/demo/client-worker.ts");
    await clientWorker(argv);
    return exitCode.ok;
  },
};

/** Runs one command line, without the program's name. Resolves to the exit code. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    return await explain(argv[0], error, io);
  }
}

async function dispatch([name, ...rest]: readonly string[], io: Io): Promise<number> {
  if (name === "--version" || name === "-V" || name === "version") {
    const { programVersions, versionText } = await import("./program/versions.ts");
    await io.stdout.write(`${versionText(programVersions())}\n`);
    return exitCode.ok;
  }
  if (name === undefined) {
    await io.stderr.write(`${await overview()}\n`);
    return exitCode.usage;
  }
  if (name === "help" || name === "--help" || name === "-h")
    return await help(
      rest.find((word) => !word.startsWith("-")),
      io,
    );
  const load = find(name);
  if (load === undefined) return await unknown(name, io);
  const { command } = await load();
  if (!asksForHelp(rest)) return await command.run(rest, io, allCommands);
  await io.stdout.write(`${command.usage}\n`);
  return exitCode.ok;
}

async function help(name: string | undefined, io: Io): Promise<number> {
  if (name === undefined) {
    await io.stdout.write(`${await overview()}\n`);
    return exitCode.ok;
  }
  const load = find(name);
  if (load === undefined) return await unknown(name, io);
  await io.stdout.write(`${(await load()).command.usage}\n`);
  return exitCode.ok;
}

async function allCommands(): Promise<readonly Command[]> {
  return await Promise.all(Object.values(COMMANDS).map(async (load) => (await load()).command));
}

async function overview(): Promise<string> {
  const commands = await allCommands();
  const lines = commands.map(({ name, summary }) => [`  ${name}`, summary]);
  return [
    "Usage: weir COMMAND [ARGUMENTS]",
    "",
    "A push gateway for metrics with its own store: push events, query in SQL or PromQL, scrape /metrics.",
    "",
    alignedRows([...lines, ["  help", "prints this text, or the usage of a command"]]),
    'Run "weir COMMAND --help" for its arguments, "weir --version" for the version.',
  ].join("\n");
}

function find(name: string): (() => Promise<{ command: Command }>) | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
}

async function unknown(name: string, io: Io): Promise<number> {
  if (name.startsWith("-")) {
    await io.stderr.write(
      `weir: "${name}" precedes the command; put options after the command. "weir help" lists the commands.\n`,
    );
    return exitCode.usage;
  }
  const near = nearest(name, Object.keys(COMMANDS));
  const hint = near === undefined ? "" : ` Did you mean "weir ${near}"?`;
  await io.stderr.write(`weir: There is no command "${name}".${hint} "weir help" lists them.\n`);
  return exitCode.usage;
}

/** Arguments after `--` belong to the command. */
function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const own = end === -1 ? argv : argv.slice(0, end);
  return own.includes("--help") || own.includes("-h");
}

/** Prints why a command failed. Prints a stack trace only for a bug. */
async function explain(name: string, error: unknown, io: Io): Promise<number> {
  // The reader of the output has ended (weir sql … | head), which is not an error.
  if (codeOf(error) === "EPIPE") return exitCode.ok;
  if (error instanceof UsageError || error instanceof SettingError) {
    await io.stderr.write(`weir ${name}: ${error.message}\nRun "weir ${name} --help" for its usage.\n`);
    return exitCode.usage;
  }
  await io.stderr.write(`weir ${name}: ${faultText(error)}\n`);
  return exitCode.failure;
}

/** The input, output and environment of this process. */
function processIo(umask: number): Io {
  let [stdout, stderr]: (Output | undefined)[] = [];
  // The streams of the process are opened when they are first used. To open them takes 5 ms.
  return {
    umask,
    get stdout() {
      stdout ??= output(process.stdout);
      return stdout;
    },
    get stderr() {
      stderr ??= output(process.stderr);
      return stderr;
    },
    get stdinIsTerminal() {
      return process.stdin.isTTY === true;
    },
    stdin: () => Bun.stdin.stream(),
    get keys() {
      return process.stdin.isTTY === true ? readKeys : undefined;
    },
    get terminal() {
      return process.stdin.isTTY === true && process.stdout.isTTY === true
        ? { input: process.stdin, output: process.stdout }
        : undefined;
    },
    env: process.env,
    readFile: readTextFile,
  };
}

function output(stream: NodeJS.WriteStream): Output {
  // The caller that awaits the write gets the error. Without a listener the error would end the process first.
  stream.on("error", () => undefined);
  return {
    write: (data) =>
      new Promise((resolve, reject) => {
        stream.write(data, (error) => (error ? reject(error) : resolve()));
      }),
    isTerminal: stream.isTTY === true,
    get columns() {
      return stream.columns || 80;
    },
    get rows() {
      return stream.rows || undefined;
    },
  };
}

/** Passes on the keys of the terminal one by one, without waiting for the end of a line. */
function readKeys(onKey: (key: string) => void): () => void {
  const { stdin } = process;
  const onData = (data: Buffer) => {
    for (const key of data.toString("utf8")) onKey(key);
  };
  stdin.setRawMode(true);
  stdin.on("data", onData);
  return () => {
    stdin.off("data", onData);
    stdin.setRawMode(false);
    stdin.pause();
  };
}

function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The process: reads its arguments, runs the command, and ends with its exit code. */
export async function run(): Promise<void> {
  const [name = "", ...rest] = process.argv.slice(2);
  if (name === "serve") beginStart();
  // Log, journal, temporary files and exports are created in several places, also by the engine. Only the owner
  // may read them.
  const umask = process.umask(0o077);
  const code = await (INNER[name]?.(rest) ?? main(process.argv.slice(2), processIo(umask)));
  // Every write was awaited. Open handles, such as idle connections of a pool, must not keep the process running.
  process.exit(code);
}

// Not awaited here: bytecode beside a module (scripts/build.d/serve-bundle.ts) allows no await at the top.
if (import.meta.main) void run();
