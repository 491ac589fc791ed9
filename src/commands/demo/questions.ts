/** The questions of the demo: each is one command, which the user can copy, and whose answer the demo prints. */
import { statement } from "../../store/statements.ts";
import { command as promql } from "../promql.ts";
import { command as sql } from "../sql.ts";
import { command as summary } from "../summary.ts";
import type { Command, Io } from "../command.ts";

export interface Question {
  readonly question: string;
  readonly language: string;
  readonly command: Command;
  /** The arguments of the command, without the address. */
  readonly argv: readonly string[];
}

/** A statement of sql/demo without its comments, on lines of its own within the quotes of a shell. */
function typed(name: string): string {
  const lines = statement(name).trim().split("\n");
  return `\n${lines
    .filter((line) => !line.startsWith("--"))
    .map((line) => `  ${line}`)
    .join("\n")}`;
}

export const QUESTIONS: readonly Question[] = [
  {
    question: "How slow is each domain? The 95th percentile in ms",
    language: "PromQL",
    command: promql,
    argv: [
      `
  round(histogram_quantile(0.95, sum by (domain, le) (
    rate(http_request_duration_ms_bucket{operation="target_request"}[30m]))))`,
    ],
  },
  {
    question: "Which operations fail, and how often?",
    language: "a summary",
    command: summary,
    argv: ["error_rate", "--from", "-1h", "--format", "lines"],
  },
  {
    question: "Which tasks were slow?",
    language: "SQL",
    command: sql,
    argv: [typed("demo/slow_tasks")],
  },
  {
    question: "Which worker is silent?",
    language: "SQL",
    command: sql,
    argv: [typed("demo/silent_workers")],
  },
  {
    question: "How much was uploaded?",
    language: "a summary",
    command: summary,
    argv: ["uploads", "--from", "-1h"],
  },
];

/**
 * The command of a question as a user types it in a POSIX shell, in lines of at most 76 columns.
 *
 * @param program how the user runs `weir`
 * @param address the arguments that name the gateway, if it is not the default one
 */
export function commandLine(
  { command, argv }: Question,
  program: string,
  address: readonly string[],
): string {
  const head = [program, command.name, ...address].map(quoted).join(" ");
  const rest = argv.map(quoted).join(" ");
  const isLong = `${head} ${rest}`.split("\n")[0]!.length > 76;
  return isLong ? `${head} \\\n  ${rest}` : `${head} ${rest}`;
}

/** Quotes an argument for a POSIX shell, if it needs that. */
function quoted(argument: string): string {
  if (/^[\w./:=-]+$/.test(argument)) return argument;
  if (!argument.includes("'")) return `'${argument}'`;
  return /["$`\\!]/.test(argument) ? `'${argument.replaceAll("'", `'\\''`)}'` : `"${argument}"`;
}

/** Runs the command of a question on a gateway. Resolves to what it prints. */
export async function answerTo({ command, argv }: Question, url: string, io: Io): Promise<string> {
  return (await printedBy(command, ["--url", url, ...argv], io)).printed;
}

/** Runs a command. Resolves to its exit code, and to what it prints on either output. */
export async function printedBy(
  command: Command,
  argv: readonly string[],
  io: Io,
): Promise<{ readonly code: number; readonly printed: string }> {
  let printed = "";
  const output = {
    write: async (data: string | Uint8Array) => {
      printed += typeof data === "string" ? data : new TextDecoder().decode(data);
    },
    isTerminal: false,
    columns: 80,
  };
  const code = await command.run(argv, { ...io, stdout: output, stderr: output }, () =>
    Promise.resolve([command]),
  );
  return { code, printed: printed.trimEnd() };
}
