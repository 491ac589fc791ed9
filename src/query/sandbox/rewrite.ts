/**
 * Rewrites an inspected statement whose text must not run unchanged:
 *
 * - The result of `list`, `string_agg` and similar aggregates, and the list of `list_reduce`, get a guard around them: a
 *   macro that fails if the value is too large.
 * - `SHOW TABLES` and `information_schema` become views that list the tables that a statement may name.
 * - `current_timestamp` becomes `now()`, which is a TIMESTAMP in UTC like `ts`.
 *
 * The engine itself turns text into a tree and a tree into text, so that this module needs no second grammar.
 */
import { allowedFunction } from "./allowed-functions.ts";
import { isExactNumber, type Serialized, type Serializer, textOf, wholeTreeOf } from "./statement-tree.ts";
import { forbidden, LISTING_VIEWS, type Listing, lower, methodCall, type Node } from "./walk.ts";

/** Returns the text that runs instead of `sql`, which the sandbox has accepted. */
export async function rewrite(reader: Serializer, sql: string): Promise<string> {
  const tree = await wholeTreeOf(reader, sql);
  const clock = usesClock(tree) ? namesClock(tree) : undefined;
  if (clock !== undefined)
    throw forbidden(
      `a column is named ${clock}; for the time write ${CLOCKS.get(clock)}(), for the column another name`,
    );
  const names = new Map<unknown, string>();
  for (const item of itemsToName(tree)) names.set(item, await nameOf(reader, tree, item));
  return textOf(reader, rewritten(tree, names));
}

type Mutable = Record<string, unknown>;

function rewritten(value: unknown, names: ReadonlyMap<unknown, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => rewritten(item, names));
  if (typeof value !== "object" || value === null || isExactNumber(value)) return value;
  const children = Object.entries(value as Node).map(
    ([key, child]) => [key, rewritten(child, names)] as const,
  );
  const node = replaced(Object.fromEntries(children));
  const name = names.get(value);
  return name === undefined ? node : { ...node, alias: name };
}

/** The replacement of a node whose children are already rewritten. */
function replaced(node: Mutable): Mutable {
  if (node.class === "FUNCTION") return called(node);
  if (isDouble(node)) return castDouble(node);
  const clock = clockOf(node);
  if (clock !== undefined) return { ...call(clock, undefined), alias: node.alias };
  if (node.type === "SHOW_REF") return shown(node);
  if (node.type === "BASE_TABLE" && lower(node.schema_name) === "information_schema")
    return {
      ...node,
      schema_name: "",
      alias: node.alias === "" ? node.table_name : node.alias,
      table_name: LISTING_VIEWS[lower(node.table_name) as Listing],
    };
  return node;
}

/**
 * The expressions of SELECT lists that have no alias and contain a node to rewrite. Without an alias, the engine would
 * name their columns after the rewritten text.
 */
function* itemsToName(value: unknown): Generator<Mutable> {
  if (typeof value !== "object" || value === null || isExactNumber(value)) return;
  for (const [key, child] of Object.entries(value)) {
    if (key === "select_list")
      yield* (child as Mutable[]).filter(
        (item) => item.alias === "" && item.class !== "STAR" && changes(item),
      );
    yield* itemsToName(child);
  }
}

function usesClock(value: unknown): boolean {
  if (typeof value !== "object" || value === null || isExactNumber(value)) return false;
  return clockOf(value as Mutable) !== undefined || Object.values(value).some(usesClock);
}

function changes(value: unknown): boolean {
  if (typeof value !== "object" || value === null || isExactNumber(value)) return false;
  const node = value as Mutable;
  if (clockOf(node) !== undefined || isDouble(node) || (node.class === "FUNCTION" && called(node) !== node))
    return true;
  return Object.values(node).some(changes);
}

/** The name that the engine gives the column of an expression, which is its text. */
async function nameOf(reader: Serializer, tree: Serialized, item: Mutable): Promise<string> {
  if (item.class === "COLUMN_REF") return String((item.column_names as readonly unknown[]).at(-1));
  const [first] = tree.statements ?? [];
  const text = await textOf(reader, {
    ...tree,
    statements: [{ ...first, node: { ...EMPTY_SELECT, select_list: [item] } }],
  });
  return text.slice("SELECT ".length);
}

const EMPTY_SELECT = {
  type: "SELECT_NODE",
  modifiers: [],
  cte_map: { map: [] },
  select_list: [],
  from_table: { type: "EMPTY", alias: "", sample: null, query_location: 0 },
  where_clause: null,
  group_expressions: [],
  group_sets: [],
  aggregate_handling: "STANDARD_HANDLING",
  having: null,
  sample: null,
  qualify: null,
};

/** A call with the name and at most one argument. It takes the alias of its argument. */
function call(name: string, inner: Mutable | undefined): Mutable {
  return {
    class: "FUNCTION",
    type: "FUNCTION",
    alias: inner?.alias ?? "",
    query_location: inner?.query_location ?? 0,
    function_name: name,
    schema: "",
    children: inner === undefined ? [] : [{ ...inner, alias: "" }],
    filter: null,
    order_bys: { type: "ORDER_MODIFIER", orders: [] },
    distinct: false,
    is_operator: false,
    export_state: false,
    catalog: "",
  };
}

/** Whether a node is a number such as 1e10. The engine would write it as 10000000000.0, and read that as a DECIMAL. */
function isDouble({ class: kind, value }: Mutable): boolean {
  const constant = value as { type?: { id?: unknown }; is_null?: unknown } | undefined;
  return kind === "CONSTANT" && constant?.type?.id === "DOUBLE" && constant.is_null === false;
}

/** The number as a cast of its text, which loses no digit. */
function castDouble(node: Mutable): Mutable {
  const text = JSON.stringify((node.value as { value: unknown }).value);
  return {
    class: "CAST",
    type: "OPERATOR_CAST",
    alias: node.alias,
    query_location: node.query_location,
    child: {
      ...node,
      alias: "",
      value: { type: { id: "VARCHAR", type_info: null }, is_null: false, value: text },
    },
    cast_type: { id: "DOUBLE", type_info: null },
    try_cast: false,
  };
}

/** A call with its guard. The column of a method call becomes its first argument. */
function called(node: Mutable): Mutable {
  const method = methodCall(node);
  return method === undefined ? guarded(node) : guarded({ ...method, schema: "", catalog: "" });
}

function guarded(node: Mutable): Mutable {
  const name = lower(node.function_name);
  if (name === "get_current_timestamp" || name === "transaction_timestamp")
    return { ...call("now", undefined), alias: node.alias };
  const found = allowedFunction(name);
  if (found?.guard !== undefined) return call(`weir_${found.guard}`, node);
  if (found?.lambda !== "reduce") return node;
  const [list, ...others] = node.children as Mutable[];
  return { ...node, children: [call("weir_reduced", list), ...others] };
}

/** A clock's name that the statement also gives to a column, so that it is ambiguous; undefined if there is none. */
function namesClock(value: unknown, key = ""): string | undefined {
  if (typeof value === "string")
    return NAMING.has(key) && CLOCKS.has(lower(value)) ? lower(value) : undefined;
  if (typeof value !== "object" || value === null || isExactNumber(value)) return undefined;
  const inner = Array.isArray(value)
    ? value.map((item) => [key, item] as const)
    : (Object.entries(value) as [string, unknown][]);
  for (const [child, item] of inner) {
    const name = namesClock(item, child);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** The keys of a tree that contain names of columns. */
const NAMING: ReadonlySet<string> = new Set(["alias", "aliases", "column_name_alias", "unpivot_names"]);

/** Clocks that are written like a column, with the functions that return the same time in UTC. */
const CLOCKS: ReadonlyMap<string, string> = new Map([
  ["current_timestamp", "now"],
  ["current_date", "today"],
]);

/** The function of a clock that is written like a column; undefined for any other node. */
function clockOf({ class: kind, column_names }: Mutable): string | undefined {
  const names = kind === "COLUMN_REF" ? (column_names as readonly unknown[]) : [];
  return names.length === 1 ? CLOCKS.get(lower(names[0])) : undefined;
}

function shown(node: Mutable): Mutable {
  if (node.query !== null && node.query !== undefined) return node;
  const listing = node.table_name === '"tables"' ? "names" : "details";
  return {
    type: "BASE_TABLE",
    alias: node.alias,
    sample: node.sample,
    query_location: node.query_location,
    schema_name: "",
    table_name: LISTING_VIEWS[listing],
    column_name_alias: [],
    catalog_name: "",
    at_clause: null,
  };
}
