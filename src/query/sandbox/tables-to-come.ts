/**
 * Statements of rules, whose tables may not exist yet: a metric is a table from its first sample on. Such a table counts
 * as an empty one, as a metric without samples does in PromQL.
 */
import { BadInput, quote } from "../../model/errors.ts";
import { inspect } from "./sandbox.ts";
import { type Serializer, treeOf } from "./statement-tree.ts";
import { forbidden, lower, type Node, type SandboxCatalog } from "./walk.ts";

/** The names that metrics have in Prometheus, and so those of their tables. */
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const TIME_AND_VALUE = [
  { name: "ts", type: "TIMESTAMP" },
  { name: "value", type: "DOUBLE" },
];
/** The parameters that rules have. */
const PARAMETERS: ReadonlySet<string> = new Set(["time"]);
const NO_TABLES: SandboxCatalog = { columnsOf: () => undefined, names: () => [] };

/** A catalog with the tables of another one, and any other table that a metric can have. */
export class TablesToCome implements SandboxCatalog {
  readonly #known: SandboxCatalog;
  /** The tables (lower case) that were asked for and do not exist. */
  readonly missing = new Set<string>();

  constructor(known: SandboxCatalog = NO_TABLES) {
    this.#known = known;
  }

  columnsOf(table: string): ReturnType<SandboxCatalog["columnsOf"]> {
    const columns = this.#known.columnsOf(table);
    if (columns !== undefined || !METRIC_NAME.test(table)) return columns;
    this.missing.add(table);
    return TIME_AND_VALUE;
  }

  names(): Iterable<string> {
    return this.#known.names();
  }
}

/**
 * Checks what can be known of a rule's statement before its tables exist: that it is one SELECT that parses, that the
 * sandbox allows everything in it, and that its parameters have values.
 *
 * @throws BadInput, Forbidden, TooLarge
 */
export async function checkRuleStatement(reader: Serializer, sql: string, bytesMax: number): Promise<void> {
  const { parameters, isExplain } = await inspect(reader, sql, new TablesToCome(), {
    bytesMax,
    lookup: async () => ["value"],
  });
  if (isExplain) throw forbidden("EXPLAIN is not allowed in a rule, because a plan has no value");
  for (const name of parameters) {
    if (PARAMETERS.has(name)) continue;
    const shown = /^\d+$/.test(name) ? "?" : `$${name}`;
    throw new BadInput(
      `the parameter ${quote(shown)} has no value: the only one of a rule is "$time"`,
      "sql",
    );
  }
}

/**
 * The columns that missing tables need so that a statement can run: all names of columns in it, except for names without
 * a table that one of its other tables has.
 */
export async function columnsOfMissing(
  reader: Serializer,
  sql: string,
  others: Iterable<{ readonly name: string }>,
): Promise<readonly string[]> {
  const taken = new Set(Array.from(others, ({ name }) => lower(name)));
  const found = new Map<string, string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === "object" && value !== null) {
      const node = value as Node;
      if (node.class === "COLUMN_REF" && Array.isArray(node.column_names)) {
        const names = node.column_names.map(String);
        if (names.length > 1 || !taken.has(lower(names[0])))
          for (const name of names) found.set(lower(name), name);
      }
      Object.values(node).forEach(visit);
    }
  };
  visit((await treeOf(reader, sql)).statements);
  for (const { name } of TIME_AND_VALUE) found.delete(name);
  return [...found.values()];
}
