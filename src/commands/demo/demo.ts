/**
 * `weir demo`: a gateway with simulated workers and a batch job, questions, and their answers.
 *
 * The gateway runs in this process, on a port of loopback. Workers that use a client, and `weir tail`, are processes of
 * their own. All end with this process, also if it is killed. What the demo writes is in one temporary folder, except the
 * data of `--data`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readArguments } from "../arguments.ts";
import { type Command, exitCode, UsageError } from "../command.ts";
import { Demo, type DemoOptions } from "./running-demo.ts";
import { grouped } from "../import/progress.ts";
import { nextSignal } from "../stop-signals.ts";

const OPTIONS = {
  seconds: { type: "string" },
  seed: { type: "string", default: "1" },
  port: { type: "string" },
  data: { type: "string" },
  keep: { type: "boolean", default: false },
  program: { type: "string", default: "weir" },
} as const;

const SECONDS_MAX = 86_400;
const SEED_MAX = 999_999;

export const command: Command = {
  name: "demo",
  summary: "runs a gateway with simulated workers, and asks it questions",
  usage: `Usage: weir demo [--seconds N] [--seed N] [--port N] [--data DIR] [--keep]

Starts a gateway in a temporary folder, on 127.0.0.1:9091 or on a free port, with an hour of history. Three
simulated workers push to it: one writes a file that "weir tail" follows, one uses the client for TypeScript,
and one the client for Python, if python3 is installed. A batch job pushes in Prometheus's text format. Prints
where to look, and five questions with their answers. Ctrl-C ends everything and deletes the folder.

  --seconds N        end after N seconds; by default the demo runs until Ctrl-C
  --seed N           a whole number: other work of the same kind (default 1)
  --port N           the port of the gateway on 127.0.0.1; 0 chooses a free one. By default it is 9091, or a free
                     one if 9091 is taken
  --data DIR         keep the data in this folder, which must not have data of a gateway yet. Afterwards,
                     "weir serve --data DIR" serves them
  --keep             do not delete the temporary folder
  --program NAME     how the printed commands name weir (default weir)

The exit code is 0 if every sample that the workers recorded was stored. It is 1 if one is missing or the
gateway failed, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { seconds, ...options } = optionsOf(argv);
    const stop = Promise.withResolvers<string | undefined>();
    let isStopping = false;
    void nextSignal().then(() => {
      isStopping = true;
      stop.resolve(undefined);
    });
    await using demo = new Demo(options, io, (problem) => stop.resolve(problem));
    await demo.open();
    // Otherwise it was interrupted while it started.
    if (!isStopping) await demo.present();
    if (isStopping) return exitCode.ok;
    demo.begin();
    const timer =
      seconds === undefined ? undefined : setTimeout(() => stop.resolve(undefined), seconds * 1_000);
    const problem = await stop.promise;
    clearTimeout(timer);
    if (problem === undefined) return (await demo.end()) ? exitCode.ok : exitCode.failure;
    await io.stderr.write(`weir demo: ${problem}\n`);
    return exitCode.failure;
  },
};

function optionsOf(argv: readonly string[]): DemoOptions & { readonly seconds: number | undefined } {
  const { seconds, seed, port, data, keep, program } = readArguments(argv, OPTIONS, false).values;
  if (data === "") throw new UsageError("--data is empty, expected a folder.");
  // A demo in the folder of a real gateway would mix its samples with the real ones.
  if (data !== undefined && existsSync(join(data, "store.duckdb")))
    throw new UsageError(
      `--data is ${JSON.stringify(data)}, which has data already; expected another folder.`,
    );
  return {
    seconds: seconds === undefined ? undefined : wholeNumber("--seconds", seconds, 1, SECONDS_MAX),
    seed: wholeNumber("--seed", seed, 0, SEED_MAX),
    port: port === undefined ? undefined : wholeNumber("--port", port, 0, 65_535),
    data,
    keep,
    program,
  };
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || number < least || number > most)
    throw new UsageError(
      `${flag} is ${JSON.stringify(text)}, expected a whole number from ${least} to ${grouped(most)}.`,
    );
  return number;
}
