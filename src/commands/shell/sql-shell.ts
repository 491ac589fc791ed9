/**
 * The interactive shell of `weir sql`: reads statements from a terminal, and prints the answers of a gateway or of a folder. A
 * statement that fails does not end it. Ctrl-C cancels the statement that runs, or discards what is typed. Ctrl-D ends it.
 */
import { createInterface } from "node:readline";
import { accepted, type Send } from "../client.ts";
import { faultText, type Io, type Terminal } from "../command.ts";
import { promqlText } from "../promql.ts";
import { showPaged } from "./pager.ts";
import { historyPath, readHistory, writeHistory } from "./shell-history.ts";
import { StatementBuffer } from "./statement-buffer.ts";
import { schemaText } from "./table-schema.ts";
import { completionsOf, DOT_COMMANDS, MODES, type TableWords } from "./word-completion.ts";

const PROMPT = "weir> ";
const CONTINUED = "  ...> ";
const CANCELLED = "The statement was cancelled.";
const ignore = () => undefined;

const HELP = `A statement of DuckDB's SQL ends with a semicolon, and may have several lines. Each metric is a table.

  .tables [PATTERN]     lists the tables, such as .tables http*
  .schema [PATTERN]     lists the columns of a table, or of all
  .functions [PATTERN]  lists the functions that a statement may call
  .mode [FORMAT]        prints answers as ${MODES.join(", ")}
  .timing [on|off]      prints how long each statement took
  \\promql EXPR          evaluates an expression in PromQL
  .quit                 ends, like Ctrl-D

Ctrl-C cancels the statement that runs, or discards what is typed. The Tab key completes tables, columns and
keywords.
`;

/** What the session remembers. */
interface Session {
  mode: (typeof MODES)[number];
  hasTiming: boolean;
}

/**
 * Runs until the input ends.
 *
 * @param where what is asked, for the first line
 */
export async function runShell(terminal: Terminal, send: Send, where: string, io: Io): Promise<void> {
  const path = historyPath(io.env);
  const buffer = new StatementBuffer();
  const session: Session = { mode: "table", hasTiming: false };
  let tables: readonly TableWords[] = [];
  const loadTables = async () => {
    tables = await tablesOf(send).catch(() => tables);
  };
  await io.stdout.write(`${where}. ".help" lists the commands; statements end with a semicolon.\n`);
  await loadTables();

  let history = readHistory(path);
  const lines = createInterface({
    input: terminal.input,
    output: terminal.output,
    terminal: true,
    prompt: PROMPT,
    history: [...history],
    historySize: 1_000,
    removeHistoryDuplicates: true,
    completer: (line: string) => completionsOf(line, buffer.pending, tables),
  });
  lines.on("history", (entries: string[]) => {
    history = entries;
  });
  const prompt = () => {
    lines.setPrompt(buffer.isPending ? CONTINUED : PROMPT);
    // What was typed while a statement ran continues at its end.
    lines.prompt(true);
  };
  /** Ends the statement that runs. */
  let running: AbortController | undefined;
  lines.on("SIGINT", () => {
    terminal.output.write("^C\n");
    if (running !== undefined) {
      running.abort(CANCELLED);
      return;
    }
    buffer.clear();
    // To the end of the line, and then deletes all before.
    for (const name of ["e", "u"]) lines.write(null as unknown as string, { ctrl: true, name });
    prompt();
  });
  const give = async (run: () => Promise<void>) => {
    lines.pause();
    terminal.input.setRawMode(false);
    // Ctrl-C is the pager's, and is sent to this process, too.
    process.on("SIGINT", ignore);
    try {
      await run();
    } finally {
      process.off("SIGINT", ignore);
      terminal.input.setRawMode(true);
      lines.resume();
    }
  };
  const print = (text: string) => showPaged(text, io, give);
  /** Prints an answer. Resolves to whether it was not cancelled. */
  const answer = async (work: (send: Send) => Promise<string>, isQuestion = true): Promise<boolean> => {
    const beganMs = performance.now();
    const controller = new AbortController();
    const { signal } = controller;
    running = controller;
    try {
      const text = await work((path, ask) => send(path, { ...ask, signal }));
      const seconds = (performance.now() - beganMs) / 1_000;
      // While the pager runs, Ctrl-C is the pager's.
      running = undefined;
      await print(text);
      if (session.hasTiming && isQuestion) await io.stdout.write(`${seconds.toFixed(3)} s\n`);
    } catch (error) {
      await io.stdout.write(signal.aborted ? `${CANCELLED}\n` : `${faultText(error)}\n`);
    } finally {
      running = undefined;
    }
    return !signal.aborted;
  };
  prompt();
  try {
    for await (const line of lines) {
      const command = buffer.isPending ? undefined : /^\s*([.\\]\w+)\s*(.*?)\s*;?\s*$/.exec(line);
      if (command !== undefined && command !== null) {
        const [, name, argument] = command;
        if (name === ".quit" || name === ".exit") break;
        await answer((ask) => commandText(name!, argument!, session, ask), name === "\\promql");
        if (name === ".tables" || name === ".schema") await loadTables();
      } else {
        // Ctrl-C also cancels what comes after the statement in its line.
        for (const statement of buffer.add(line))
          if (!(await answer((ask) => statementText(statement, session, ask)))) break;
      }
      prompt();
    }
  } finally {
    lines.close();
    writeHistory(path, history);
  }
  await io.stdout.write("\n");
}

async function tablesOf(send: Send): Promise<readonly TableWords[]> {
  const response = await accepted(await send("/api/v1/tables", { query: [["format", "json"]] }));
  return ((await response.json()) as { tables: readonly TableWords[] }).tables;
}

async function statementText(sql: string, { mode }: Session, send: Send): Promise<string> {
  const response = await send("/api/v1/sql", {
    method: "POST",
    query: [["format", mode]],
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql }),
  });
  return await (await accepted(response)).text();
}

async function commandText(name: string, argument: string, session: Session, send: Send): Promise<string> {
  switch (name) {
    case ".help":
      return HELP;
    case ".tables":
    case ".functions": {
      const path = name === ".tables" ? "/api/v1/tables" : "/api/v1/sql/functions";
      const match = argument === "" ? [] : [["match", argument] as const];
      const response = await send(path, { query: [["format", session.mode], ...match] });
      return await (await accepted(response)).text();
    }
    case ".schema":
      return await schemaText(argument, send);
    case ".mode": {
      if (argument === "") return `.mode is ${session.mode}; there are ${MODES.join(", ")}.\n`;
      const mode = MODES.find((each) => each === argument);
      if (mode === undefined)
        return `.mode is ${JSON.stringify(argument)}, expected one of ${MODES.join(", ")}.\n`;
      session.mode = mode;
      return "";
    }
    case ".timing": {
      if (argument === "") return `.timing is ${session.hasTiming ? "on" : "off"}.\n`;
      if (argument !== "on" && argument !== "off")
        return `.timing is ${JSON.stringify(argument)}, expected on or off.\n`;
      session.hasTiming = argument === "on";
      return "";
    }
    case "\\promql":
      return argument === "" ? "Give an expression, such as \\promql up\n" : await promqlText(send, argument);
    default:
      return `There is no command ${JSON.stringify(name)}; there are ${DOT_COMMANDS.join(", ")} and \\promql.\n`;
  }
}
