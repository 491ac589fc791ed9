/**
 * Completes `PIVOT table ON column USING …` without a list of values. The engine itself would first create a type of
 * the values, which a read-only statement cannot do. Here a statement looks the values up, and they are added to the
 * text: `ON column IN ('a', 'b')`. The sandbox inspects that statement like any other.
 */
import { BadInput } from "../../model/errors.ts";
import { parseFailureOf } from "../../store/engine/statement-faults.ts";
import { quoteText } from "../../store/statements.ts";
import { type Serializer, textOf, treeOf, wholeTreeOf } from "./statement-tree.ts";
import { forbidden } from "./walk.ts";

/** The maximum values of one column that become columns. */
const VALUES_MAX = 200;
/** The maximum bytes of the text with its values. The parser takes 0.8 s for 160 KB, and no interrupt stops it. */
const TEXT_BYTES_MAX = 64 * 1_024;
/** The maximum columns after ON. */
const PIVOTS_MAX = 4;

/**
 * Returns the text with the values of its PIVOT, or the unchanged text if there is no PIVOT to complete.
 *
 * @param lookup inspects a statement, runs it and returns its first column; if absent, such a PIVOT is rejected
 */
export async function completePivots(
  reader: Serializer,
  sql: string,
  lookup: ((sql: string) => Promise<readonly unknown[]>) | undefined,
): Promise<string> {
  if (!/\bPIVOT(?:_WIDER)?\b/i.test(sql)) return sql;
  const failure = parseFailureOf(await treeOf(reader, sql));
  // If its source has a parameter, the parser itself rejects it. Otherwise the text is more than one SELECT for it.
  if (failure?.kind !== "not a select" && failure?.kind !== "open pivot") return sql;
  const places = openPivots(sql);
  if (places.length === 0) return sql;
  if (lookup === undefined || places.length > PIVOTS_MAX)
    throw forbidden(
      `PIVOT without a list of values takes at most ${PIVOTS_MAX} columns; write ON column IN ('a', 'b')`,
    );
  // With a list of any values the text is one SELECT, whose tree contains the source and the columns.
  const sample = insert(
    sql,
    places.map((place) => ({ place, text: " IN ('')" })),
  );
  const whole = (await wholeTreeOf(reader, sample)) as unknown as Whole;
  const node = whole.statements?.[0]?.node;
  const pivot = node?.from_table;
  if (whole.error || node === undefined || pivot?.type !== "PIVOT" || pivot.pivots.length < places.length)
    return sql;
  const lists: string[] = [];
  const added = pivot.pivots.filter(
    ({ entries }) => entries.length === 1 && entries[0]?.values[0]?.value === "",
  );
  for (const { pivot_expressions } of added) {
    const values = await textOf(reader, {
      ...whole,
      statements: [
        {
          ...whole.statements[0],
          node: {
            ...node,
            modifiers: [
              { type: "DISTINCT_MODIFIER", distinct_on_targets: [] },
              { type: "ORDER_MODIFIER", orders: [FIRST_COLUMN] },
              { type: "LIMIT_MODIFIER", limit: constant(VALUES_MAX + 1), offset: null },
            ],
            select_list: pivot_expressions,
            from_table: pivot.source,
          },
        },
      ],
    });
    const found = (await lookup(values)).filter((value) => value !== null);
    if (found.length > VALUES_MAX)
      throw new BadInput(
        `PIVOT would make more than ${VALUES_MAX} columns of one column's values; list the values that you want: ON column IN ('a', 'b')`,
        "sql",
      );
    if (found.length === 0)
      throw new BadInput("PIVOT finds no values that could become columns: no row has one", "sql");
    if (found.some((value) => String(value).includes("\0")))
      throw new BadInput(
        "PIVOT finds a value with a NUL character, which cannot be the name of a column",
        "sql",
      );
    lists.push(` IN (${found.map((value) => quoteText(String(value))).join(", ")})`);
  }
  if (lists.length !== places.length) return sql;
  const completed = insert(
    sql,
    places.map((place, index) => ({ place, text: lists[index]! })),
  );
  if (Buffer.byteLength(completed) > TEXT_BYTES_MAX)
    throw new BadInput(
      "the values that PIVOT finds are too long to become columns; list the values that you want: ON column IN ('a', 'b')",
      "sql",
    );
  return completed;
}

interface Whole {
  readonly error: boolean;
  readonly statements: readonly {
    readonly node?: {
      readonly from_table?: {
        readonly type: string;
        readonly source: unknown;
        readonly pivots: readonly {
          readonly pivot_expressions: readonly unknown[];
          readonly entries: readonly { readonly values: readonly { readonly value?: unknown }[] }[];
        }[];
      };
    };
  }[];
}

const FIRST_COLUMN = { type: "ORDER_DEFAULT", null_order: "ORDER_DEFAULT", expression: constant(1) };

function constant(value: number): unknown {
  return {
    class: "CONSTANT",
    type: "VALUE_CONSTANT",
    alias: "",
    query_location: 0,
    value: { type: { id: "INTEGER", type_info: null }, is_null: false, value },
  };
}

function insert(sql: string, pieces: readonly { place: number; text: string }[]): string {
  let text = sql;
  for (const { place, text: piece } of [...pieces].sort((a, b) => b.place - a.place))
    text = text.slice(0, place) + piece + text.slice(place);
  return text;
}

/** Words that end the list after ON. */
const ENDS: ReadonlySet<string> = new Set(["using", "group", "order", "limit", "offset"]);

/** The end of each column without IN after the ON of a PIVOT. The PIVOT must be at the top level of the text. */
function openPivots(sql: string): number[] {
  const places: number[] = [];
  let state: "before" | "source" | "columns" = "before";
  let depth = 0;
  let hasIn = false;
  let end = 0;
  const close = () => {
    if (!hasIn && end > 0) places.push(end);
    hasIn = false;
    end = 0;
  };
  for (const { text, start } of tokens(sql)) {
    const word = text.toLowerCase();
    if (text === "(" || text === "[" || text === "{") depth++;
    if (text === ")" || text === "]" || text === "}") depth--;
    const isTop = depth === 0;
    if (isTop && state === "before" && /^pivot(_wider)?$/.test(word)) state = "source";
    else if (isTop && state === "source" && word === "on") state = "columns";
    else if (state === "columns") {
      if (isTop && (ENDS.has(word) || text === ";")) {
        close();
        return places;
      }
      if (isTop && text === ",") close();
      else {
        if (isTop && word === "in") hasIn = true;
        end = start + text.length;
      }
    }
  }
  if (state === "columns") close();
  return places;
}

/** The tokens of a text without comments and spaces. They suffice to find words outside of texts and parentheses. */
function* tokens(sql: string): Generator<{ text: string; start: number }> {
  const token =
    /--[^\n]*|\/\*(?:[^*]|\*(?!\/))*\*\/|\s+|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|\w+|[\s\S]/gy;
  for (const match of sql.matchAll(token)) {
    if (!/^(?:\s|--|\/\*)/.test(match[0])) yield { text: match[0], start: match.index };
  }
}
