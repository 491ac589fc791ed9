/** Completes what is typed: commands of the shell, tables after FROM and JOIN, columns of the tables that are named, keywords. */

export interface TableWords {
  readonly table: string;
  readonly columns: readonly { readonly name: string }[];
}

export const DOT_COMMANDS = [
  ".functions",
  ".help",
  ".mode",
  ".quit",
  ".schema",
  ".tables",
  ".timing",
] as const;
export const MODES = ["table", "json", "ndjson", "csv", "lines"] as const;

const KEYWORDS =
  "SELECT FROM WHERE GROUP BY ORDER LIMIT HAVING JOIN LEFT USING ON AS AND OR NOT IN BETWEEN LIKE ILIKE IS NULL CASE WHEN THEN " +
  "ELSE END WITH UNION ALL DISTINCT INTERVAL DESC ASC count avg sum min max quantile_cont time_bucket now()";

/**
 * The words that may stand for the last one of `line`, and that last one.
 *
 * @param before the earlier lines of the same statement
 */
export function completionsOf(
  line: string,
  before: string,
  tables: readonly TableWords[],
): [string[], string] {
  const word = /[\w.\\:"]*$/.exec(line)?.[0] ?? "";
  return [
    wordsFor(line, before, word, tables).filter((each) => each.toLowerCase().startsWith(word.toLowerCase())),
    word,
  ];
}

function wordsFor(line: string, before: string, word: string, tables: readonly TableWords[]): string[] {
  const names = tables.map(({ table }) => table);
  if (before === "" && /^\s*[.\\]\w*$/.test(line))
    return line.trim().startsWith("\\") ? ["\\promql"] : [...DOT_COMMANDS];
  const [command] = /^\s*([.\\]\w+)\s/.exec(before === "" ? line : "")?.slice(1) ?? [];
  if (command === ".mode") return [...MODES];
  if (command === ".timing") return ["on", "off"];
  if (command === ".schema" || command === ".tables" || command === "\\promql") return names;
  if (/\b(?:from|join)\s+"?[\w.:]*$/i.test(line)) return names;
  const text = `${before}\n${line}`.toLowerCase();
  const named = tables.filter(({ table }) => new RegExp(`\\b${table.toLowerCase()}\\b`).test(text));
  const columns = (named.length > 0 ? named : tables).flatMap((each) => each.columns.map(({ name }) => name));
  // Keywords in the case in which the word begins.
  const isLower = word !== "" && word === word.toLowerCase();
  const keywords = KEYWORDS.split(" ").map((each) => (isLower ? each.toLowerCase() : each));
  return [...new Set([...columns, ...(named.length > 0 ? [] : names), ...keywords])];
}
