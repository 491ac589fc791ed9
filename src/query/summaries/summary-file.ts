/**
 * A file of sql/summaries: one statement under a header. The header names the question, the parameters and the tables.
 * sql/summaries/README.md describes the header for authors of summaries.
 */
import { quote } from "../../model/errors.ts";

const PARAMETER_TYPES = ["time", "number", "text", "metric", "tag"] as const;

type ParameterType = (typeof PARAMETER_TYPES)[number];

export interface SummaryParameter {
  readonly name: string;
  readonly type: ParameterType;
  /** The default, as a request would send it; absent if the parameter is required. */
  readonly default?: string;
  readonly meaning: string;
}

/** A table as the statement names it, whether its metric exists or not. */
interface SummaryTable {
  readonly name: string;
  /** The parameter that names its metric; absent for `samples`. */
  readonly metric?: string;
  /** Columns that the statement names besides ts and value. A column is NULL if its tag was never pushed. */
  readonly columns: readonly SummaryColumn[];
}

/** A column of a table as the statement names it. */
interface SummaryColumn {
  readonly name: string;
  /** The parameter that names its tag; absent if the tag has the column's name. */
  readonly tag?: string;
}

export interface Summary {
  readonly name: string;
  readonly question: string;
  readonly description: string;
  readonly parameters: readonly SummaryParameter[];
  /** Names of values that the gateway provides. */
  readonly given: readonly string[];
  readonly tables: readonly SummaryTable[];
  readonly sql: string;
  /** An expression over the columns of the answer. It makes a line of text of a row, or NULL for no line. */
  readonly line?: string;
  /** Names of the values that the statement binds. */
  readonly bound: readonly string[];
}

const PARAMETER = /^parameter ([a-z][a-z0-9_]*) ([a-z]+)(?: = (.+?))?: (.+)$/;
const GIVEN = /^given ([a-z][a-z0-9_]*): (.+)$/;
const TABLE = /^table ([a-z][a-z0-9_]*)(?: of \$([a-z][a-z0-9_]*))?: ?(.*)$/;
const COLUMN = /^([a-z][a-z0-9_]*)(?: = \$([a-z][a-z0-9_]*))?$/;
const LINE = /^line: (.+)$/;

/** How a line of each form is written. A line that begins like one of them must have its form. */
const FORMS = {
  parameter: "parameter NAME TYPE = DEFAULT: MEANING",
  given: "given NAME: MEANING",
  table: "table NAME of $PARAMETER: COLUMN, …",
  line: "line: EXPRESSION",
} as const;

/** A file of sql/summaries is malformed. The message names the file. */
export class MalformedSummary extends Error {
  override readonly name = "MalformedSummary";

  constructor(name: string, problem: string) {
    super(`sql/summaries/${name}.sql: ${problem}`);
  }
}

/** Query parameters that every summary has. */
const RESERVED: ReadonlySet<string> = new Set(["format", "limit", "timeoutMs"]);

/** Parses a file. Throws `MalformedSummary`. */
export function parseSummary(name: string, text: string): Summary {
  const fail = (what: string) => new MalformedSummary(name, what);
  const lines = text.split("\n");
  const end = lines.findIndex((line) => !line.startsWith("--"));
  const header = lines.slice(0, end).map((line) => line.slice(2).trim());
  const sql = lines.slice(end).join("\n").trim();
  const prose: string[] = [];
  const parameters: SummaryParameter[] = [];
  const given: string[] = [];
  const tables: SummaryTable[] = [];
  let printed: string | undefined;
  for (const line of header) {
    const parameter = PARAMETER.exec(line);
    const value = GIVEN.exec(line);
    const table = TABLE.exec(line);
    if (parameter !== null) {
      const type = PARAMETER_TYPES.find((each) => each === parameter[2]);
      if (type === undefined)
        throw fail(
          `the type of parameter ${parameter[1]} is ${quote(parameter[2]!)}, expected one of ${PARAMETER_TYPES.join(", ")}`,
        );
      parameters.push({ name: parameter[1]!, type, default: parameter[3], meaning: parameter[4]! });
    } else if (value !== null) given.push(value[1]!);
    else if (table !== null) {
      const columns = table[3]!.split(",").map((column) => column.trim());
      tables.push({
        name: table[1]!,
        metric: table[2],
        columns: columns.filter((column) => column !== "").map((column) => readColumn(column, fail)),
      });
    } else if (LINE.test(line)) printed = LINE.exec(line)![1];
    else {
      const form = /^(parameter|given|table|line)\b/.exec(line)?.[1] as keyof typeof FORMS | undefined;
      if (form !== undefined) throw fail(`the header has ${quote(line)}, expected ${quote(FORMS[form])}`);
      prose.push(line);
    }
  }
  const [question = "", ...description] = prose;
  if (!question.endsWith("?"))
    throw fail(`the first line is ${quote(question)}, expected a question that ends in "?"`);
  if (sql === "") throw fail("there is no statement after the header");
  const reserved = parameters.find((parameter) => RESERVED.has(parameter.name));
  if (reserved !== undefined)
    throw fail(`a parameter is named ${reserved.name}, which every summary has already`);
  const bound = [...new Set([...sql.matchAll(/\$([a-z][a-z0-9_]*)/g)].map((match) => match[1]!))];
  const known = new Set([...parameters.map((parameter) => parameter.name), ...given]);
  for (const binding of bound)
    if (!known.has(binding)) throw fail(`the statement has $${binding}, which the header does not declare`);
  for (const { metric, name: table } of tables) {
    const parameter = parameters.find((each) => each.name === metric);
    if (metric === undefined ? table !== "samples" : parameter?.type !== "metric")
      throw fail(`table ${table} needs "of $NAME" with a parameter of the type metric`);
  }
  const columns = tables.flatMap((table) => table.columns);
  for (const { name: column, tag } of columns) {
    const parameter = parameters.find((each) => each.name === tag);
    if (tag !== undefined && parameter?.type !== "tag")
      throw fail(`column ${column} needs a parameter of the type tag, and $${tag} is none`);
  }
  const used = new Set([...bound, ...tables.map(({ metric }) => metric), ...columns.map(({ tag }) => tag)]);
  for (const each of known)
    if (!used.has(each)) throw fail(`the header declares ${each}, which nothing uses`);
  return {
    name,
    question,
    description: description.join(" ").trim(),
    parameters,
    given,
    tables,
    sql,
    line: printed,
    bound,
  };
}

function readColumn(text: string, fail: (what: string) => Error): SummaryColumn {
  const [, name, tag] = COLUMN.exec(text) ?? [];
  if (name === undefined) throw fail(`a column is ${quote(text)}, expected NAME or NAME = $PARAMETER`);
  return { name, tag };
}
