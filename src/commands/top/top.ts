/**
 * `weir top`: the overview of a gateway in a terminal, refreshed. Without a terminal it is printed once.
 *
 * It uses the alternate screen of the terminal, and restores the screen and the cursor at the end. A gateway that does not
 * answer is reported in the first line, and asked again.
 */
import { countOf, readArguments } from "../arguments.ts";
import { gatewayAt, RequestRefused, Unreachable, urlHelp, urlOptions } from "../client.ts";
import { type Command, exitCode, type Io } from "../command.ts";
import { TopQuestions } from "./top-answers.ts";
import { topLines } from "./top-text.ts";

const OPTIONS = {
  ...urlOptions,
  once: { type: "boolean", default: false },
  "interval-ms": { type: "string" },
} as const;

const INTERVAL_MS = 2_000;
/** The part of the time that answers may take. If they are slow, the refreshes are rarer. */
const SHARE = 0.05;

/** Escape sequences of ECMA-48 and xterm. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

const CTRL_C = "\x03";

export const command: Command = {
  name: "top",
  summary: "shows workers, events, machines and alerts, refreshed",
  usage: `Usage: weir top [OPTIONS]

Shows who pushes to a running gateway and how much, the error rate and the quantiles of each metric, hosts, GPUs,
disks, firing alerts and the storage of the last days. In a terminal it is refreshed until q or Ctrl-C. If the
output is not a terminal, it is printed once.

  --interval-ms N    milliseconds between two refreshes; default ${INTERVAL_MS}. Slow answers are asked for less often
  --once             print once, also in a terminal
${urlHelp}

The exit code is 0 after q, Ctrl-C or one printed overview, 1 if the gateway failed while it was printed once, and
2 if the arguments are invalid.`,
  async run(argv, io) {
    const { values } = readArguments(argv, OPTIONS, false);
    const interval = values["interval-ms"];
    const intervalMs = interval === undefined ? INTERVAL_MS : countOf("--interval-ms", interval);
    const questions = new TopQuestions(gatewayAt(values.url, io, values.ca));
    if (values.once || !io.stdout.isTerminal || io.keys === undefined) {
      const lines = topLines(
        await questions.ask(),
        Date.now(),
        io.stdout.isTerminal ? io.stdout.columns : 120,
      );
      await io.stdout.write(`${lines.join("\n")}\n`);
      return exitCode.ok;
    }
    await refresh(questions, intervalMs, io, io.keys);
    return exitCode.ok;
  },
};

/** Refreshes until a key ends it. */
async function refresh(
  questions: TopQuestions,
  intervalMs: number,
  { stdout }: Io,
  keys: NonNullable<Io["keys"]>,
): Promise<void> {
  const ended = Promise.withResolvers<"ended">();
  const release = keys((key) => {
    if (key === "q" || key === "Q" || key === CTRL_C) ended.resolve("ended");
  });
  await stdout.write(ENTER);
  try {
    for (;;) {
      const askedAtMs = performance.now();
      const answer = await Promise.race([linesOf(questions, stdout.columns), ended.promise]);
      if (answer === "ended") return;
      // The last line stays free, so that the terminal does not scroll.
      const seen = answer.slice(0, Math.max(1, (stdout.rows ?? 24) - 1));
      await stdout.write(`${HOME}${seen.map((line) => `${line}${CLEAR_LINE}\r\n`).join("")}${CLEAR_BELOW}`);
      const waitMs = Math.max(intervalMs, (performance.now() - askedAtMs) / SHARE);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const waited = new Promise<"waited">((resolve) => {
        timer = setTimeout(() => resolve("waited"), waitMs);
      });
      const next = await Promise.race([waited, ended.promise]);
      clearTimeout(timer);
      if (next === "ended") return;
    }
  } finally {
    release();
    await stdout.write(LEAVE);
  }
}

async function linesOf(questions: TopQuestions, columns: number): Promise<readonly string[]> {
  try {
    return topLines(await questions.ask(), Date.now(), columns);
  } catch (error) {
    // It may be back at the next refresh.
    if (error instanceof Unreachable || error instanceof RequestRefused) return [error.message];
    throw error;
  }
}
