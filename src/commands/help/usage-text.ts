/**
 * Reads the text that `weir COMMAND --help` prints, so that the manual and the completion of shells come from the same text: the
 * usage lines, paragraphs, examples, and options with their descriptions.
 *
 * The text consists of blocks with an empty line between them. The first block is the usage. Lines of other blocks begin at
 * the margin (a paragraph) or with two spaces (an example, or a list if one of its items begins with a dash). An item of a list
 * is `  TERM  TEXT`, or `  TERM` with its text on the lines below, which are indented more.
 */

export type UsageBlock =
  | { readonly is: "paragraph"; readonly text: string }
  | { readonly is: "example"; readonly lines: readonly string[] }
  | { readonly is: "list"; readonly items: readonly ListItem[] };

/** `--format FORMAT` and what it does. */
export interface ListItem {
  readonly term: string;
  /** The lines of the description, without the indentation that all of them have. */
  readonly lines: readonly string[];
}

/** A flag that a shell can complete. */
export interface FlagHelp {
  /** With its dashes: `--format`. */
  readonly flag: string;
  /** What stands after it, such as `FILE`. Undefined if it stands alone. */
  readonly value: string | undefined;
  /** Its description in one line. */
  readonly text: string;
  /** The words that the description lists as possible values. */
  readonly choices: readonly string[];
}

export interface UsageText {
  /** The lines that begin with `weir`. */
  readonly synopsis: readonly string[];
  readonly blocks: readonly UsageBlock[];
}

export function readUsage(usage: string): UsageText {
  const [first = "", ...rest] = usage.split(/\n\n+/);
  const synopsis = first
    .replace(/^Usage: /, "")
    .split("\n")
    .map((line) => line.trim());
  return { synopsis, blocks: rest.flatMap(readBlock) };
}

/** The lines at the margin, and those below them, of one block. */
function readBlock(text: string): UsageBlock[] {
  const lines = text.split("\n");
  const indented = lines.findIndex((line) => line.startsWith("  "));
  const margin = indented === -1 ? lines : lines.slice(0, indented);
  const below = indented === -1 ? [] : lines.slice(indented);
  const blocks: UsageBlock[] = [];
  if (margin.length > 0) blocks.push({ is: "paragraph", text: margin.join(" ") });
  if (below.length === 0) return blocks;
  blocks.push(
    below.some((line) => /^ {2}-/.test(line))
      ? { is: "list", items: readList(below) }
      : { is: "example", lines: below.map((line) => line.slice(2)) },
  );
  return blocks;
}

function readList(lines: readonly string[]): ListItem[] {
  const items: { term: string; lines: string[] }[] = [];
  for (const line of lines) {
    if (!/^ {2}\S/.test(line)) {
      items.at(-1)?.lines.push(line);
      continue;
    }
    const [, term, text] = /^ {2}(\S.*?)(?: {2,}(\S.*))?$/.exec(line)!;
    items.push({ term: term!, lines: text === undefined ? [] : [text] });
  }
  return items.map(({ term, lines: own }) => ({ term, lines: withoutIndent(own) }));
}

/** Removes the indentation of the continued lines, which the first line after the term does not have. */
function withoutIndent(lines: readonly string[]): string[] {
  const indents = lines.filter((line) => line.startsWith(" ")).map((line) => line.search(/\S/));
  const common = Math.min(...indents);
  return lines.map((line) => (line.startsWith(" ") ? line.slice(common) : line));
}

/** The flags of all lists, each once. */
export function flagsOf({ blocks }: UsageText): FlagHelp[] {
  const found = new Map<string, FlagHelp>();
  for (const block of blocks) {
    if (block.is !== "list") continue;
    for (const { term, lines } of block.items) {
      const text = lines.filter((line) => !line.startsWith(" ")).join(" ");
      for (const [, flag, value] of term.matchAll(/(--[a-z][\w-]*)(?:[ =]([A-Za-z][^\s,]*))?/g)) {
        if (found.has(flag!) || flag === "--") continue;
        found.set(flag!, {
          flag: flag!,
          value: value ?? sharedValue(term),
          text,
          choices: choicesOf(value, text),
        });
      }
    }
  }
  return [...found.values()];
}

/** `--from, --to TIME`: both have a value. */
function sharedValue(term: string): string | undefined {
  return /^(?:--[\w-]+, )+--[\w-]+ ([A-Z]\w*)/.exec(term)?.[1];
}

/** `table (default), json, csv or parquet`, perhaps with a colon after it, and a value that is a word itself (`--format ndjson`). */
function choicesOf(value: string | undefined, text: string): string[] {
  if (value === undefined) return [];
  if (/^[a-z]+$/.test(value)) return [value];
  const word = "[a-z][a-z0-9-]*";
  const note = "(?: \\([^)]*\\))?";
  const list = new RegExp(
    `(?:^|: )((?:${word}${note}, )*${word}${note},? or ${word}|(?:${word}${note}, )+${word})(?=[ .:;(]|$)`,
  ).exec(text);
  const words = list === null ? [] : list[1]!.replaceAll(/ \([^)]*\)/g, "").split(/,? or |, /);
  // "parameters, and …" is a sentence.
  return words.includes("and") ? [] : words;
}

/** The words after the name of a command, such as `create` of `weir token create`, from its usage lines. */
export function subcommandsOf({ synopsis }: UsageText): string[] {
  const words = synopsis.map((line) => /^weir \S+ \[?(\.?[a-z]+)\]?(?= |$)/.exec(line)?.[1]);
  return [...new Set(words.filter((word) => word !== undefined))];
}
