/**
 * The walk over a statement's queries and tables. It checks every key of every object and rejects unknown keys, since a
 * later version of the engine may give them a new meaning.
 *
 * The walk also measures how large a statement becomes while the engine plans it, which no interrupt stops: columns
 * (nested `SELECT *, *` doubles them), tables (a CTE counts as often as it is named), and the size of values in bytes
 * (nested `s || s` doubles it).
 */
import { BadInput, quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";
import { checkConstant, starsIn, walkExpression, walkExpressions, walkOrders } from "./expressions.ts";
import { allowedFunction, allowedTableFunction } from "./allowed-functions.ts";
import { FIXED_BYTES, STORED_BYTES } from "./sizes.ts";
import {
  addMade,
  type Aliased,
  type ColumnSizes,
  countExpressions,
  deeper,
  describe,
  forbidden,
  joinSizes,
  LISTING_VIEWS,
  type Listing,
  lower,
  type Measure,
  type Node,
  nodes,
  only,
  onlyKeys,
  otherKey,
  rowOf,
  type SandboxCatalog,
  type Scope,
  unknown,
  unnamed,
  type Walk,
  within,
} from "./walk.ts";

const COLUMNS_MAX = 2_000;
/** The maximum tables of a statement. Each has one part per day. */
const TABLES_MAX = 32;
const GROUPING_SETS_MAX = 64;
const SAMPLE_ROWS_MAX = 1_000_000;

/**
 * Walks a statement, a `{node, named_param_map}`, and returns its findings.
 *
 * @param isOurs whether rewrite.ts made the text from one that was walked before
 */
export function walkStatement(statement: Node, catalog: SandboxCatalog, isOurs = false): Walk {
  const walk: Walk = {
    catalog,
    isOurs,
    tables: new Set(),
    listings: new Set(),
    macros: new Set(),
    parameters: new Set(),
    numberUses: [],
    casts: [],
    isRewritten: false,
    subquery: walkSelect,
    depth: 0,
    expressions: 0,
    made: 0,
    lambdaBytes: 0,
    extraTables: 0,
  };
  walkSelect(statement, {
    walk,
    ctes: new Map(),
    columns: 0,
    bytes: FIXED_BYTES,
    outerBytes: FIXED_BYTES,
    sizes: unnamed(FIXED_BYTES),
    row: FIXED_BYTES,
    aliases: new Map(),
  });
  return walk;
}

/** The measure of a table whose columns may have new names. */
function renamed(measure: Measure, names: unknown): Measure {
  const list = nodes(names) as readonly unknown[];
  if (list.length === 0) return measure;
  const bytes = list.reduce<number>((all, name) => all + Buffer.byteLength(String(name)), 0);
  const named = new Map(list.map((name) => [lower(name), measure.bytes]));
  const rest = list.length < measure.columns ? measure.bytes : 0;
  return { ...measure, sizes: { named, rest }, row: rowOf(measure) + bytes };
}

/** Walks the `{node}` of a subquery or a CTE. */
function walkSelect(select: Node, outer: Scope): Measure {
  onlyKeys(select, "node named_param_map", "a statement");
  if (typeof select.node !== "object" || select.node === null) throw unknown("a statement without a query");
  return walkQuery(select.node as Node, outer);
}

function walkQuery(node: Node, outer: Scope): Measure {
  return deeper(outer.walk, () => {
    const extraBefore = outer.walk.extraTables;
    outer.walk.extraTables = 0;
    const measure = walkQueryNode(node, outer);
    const tables = measure.tables + outer.walk.extraTables;
    outer.walk.extraTables = extraBefore;
    if (tables > TABLES_MAX) throw forbidden(`the statement names more than ${TABLES_MAX} tables`);
    if (measure.columns > COLUMNS_MAX)
      throw forbidden(`the statement makes more than ${COLUMNS_MAX} columns`);
    return { ...measure, tables };
  });
}

function walkQueryNode(node: Node, outer: Scope): Measure {
  const scope = { ...outer, ctes: walkCtes(node.cte_map as Node | undefined, outer) };
  switch (node.type) {
    case "SELECT_NODE":
      return walkSelectNode(node, scope);
    case "SET_OPERATION_NODE": {
      only(node, "modifiers cte_map setop_type left right setop_all children");
      const arms = [node.left, node.right, ...nodes(node.children)]
        .filter((arm) => arm !== undefined)
        .map((arm) => walkQuery(arm as Node, scope));
      const measure = {
        columns:
          node.setop_type === "UNION_BY_NAME"
            ? sum(arms, "columns")
            : Math.max(...arms.map((arm) => arm.columns)),
        tables: sum(arms, "tables"),
        bytes: Math.max(...arms.map((arm) => arm.bytes)),
        row: arms.reduce((all, arm) => all + rowOf(arm), 0),
      };
      walkModifiers(node.modifiers, within(scope, measure));
      return measure;
    }
    case "RECURSIVE_CTE_NODE":
      return walkRecursive(node, scope);
    default:
      throw unknown(describe(node));
  }
}

/**
 * `WITH RECURSIVE`: between rounds, the engine checks for interrupts and counts the rows. But a value that grows in
 * each round would soon exceed every limit on values.
 */
function walkRecursive(node: Node, scope: Scope): Measure {
  only(node, "cte_name union_all left right aliases key_targets modifiers cte_map");
  const name = lower(node.cte_name);
  const left = walkQuery(node.left as Node, scope);
  const round = (bytes: number): Measure => {
    const names = [...(left.sizes?.named.keys() ?? [])];
    const sizes = { named: new Map(names.map((each) => [each, bytes])), rest: bytes };
    const row = rowOf(left) + left.columns * bytes;
    const itself = renamed({ columns: left.columns, tables: 1, bytes, sizes, row }, node.aliases);
    return walkQuery(node.right as Node, { ...scope, ctes: new Map(scope.ctes).set(name, itself) });
  };
  // The first round may add larger columns. The second round must not make larger values again.
  let right = round(left.bytes);
  if (right.bytes > left.bytes) {
    const { bytes } = right;
    right = round(bytes);
    if (right.bytes > bytes)
      throw forbidden(
        `the recursive part of ${quote(node.cte_name)} makes larger values in each round; it may compute numbers and times, ` +
          "and pass texts on, but must not join texts or lists",
      );
  }
  walkExpressions(node.key_targets, within(scope, left));
  walkModifiers(node.modifiers, within(scope, left));
  return { ...joined(left, right), columns: left.columns };
}

function walkCtes(map: Node | undefined, outer: Scope): ReadonlyMap<string, Measure> {
  if (map === undefined) return outer.ctes;
  const ctes = new Map(outer.ctes);
  onlyKeys(map, "map", "a WITH clause");
  for (const entry of nodes(map.map)) {
    const value = entry.value as Node;
    onlyKeys(value, "aliases query materialized key_targets", "WITH …");
    // Its own name is not in scope yet. Only a recursive CTE could refer to itself.
    const madeBefore = outer.walk.made;
    const measure = walkSelect(value.query as Node, { ...outer, ctes });
    walkExpressions(value.key_targets, within(outer, measure));
    ctes.set(lower(entry.key), { ...renamed(measure, value.aliases), made: outer.walk.made - madeBefore });
    outer.walk.made = madeBefore;
  }
  return ctes;
}

function walkSelectNode(node: Node, outer: Scope): Measure {
  only(
    node,
    "modifiers cte_map select_list from_table where_clause group_expressions group_sets " +
      "aggregate_handling having sample qualify",
  );
  const from = walkTable(node.from_table as Node, outer);
  const aliases = new Map(outer.aliases);
  const scope: Scope = { ...within(outer, from), aliases };
  const list = nodes(node.select_list).map((expression) => walkSelected(expression, scope, aliases));
  const columns = list.reduce((all, each) => all + each.columns, 0);
  const bytes = Math.max(FIXED_BYTES, ...list.map((each) => each.bytes));
  for (const key of ["where_clause", "having", "qualify"])
    if (node[key] !== undefined) walkExpression(node[key] as Node, scope);
  walkExpressions(node.group_expressions, scope);
  if (nodes(node.group_sets).length > GROUPING_SETS_MAX)
    throw forbidden(`GROUP BY makes more than ${GROUPING_SETS_MAX} grouping sets`);
  checkSample(node.sample as Node | undefined);
  // ORDER BY and other modifiers may name columns of the list.
  walkModifiers(node.modifiers, { ...scope, bytes: Math.max(scope.bytes, bytes) });
  return {
    columns,
    tables: from.tables,
    bytes,
    sizes: list.map((each) => each.sizes).reduce(joinSizes, unnamed(0)),
    row: list.reduce((all, each) => all + each.row, 0),
  };
}

/** Walks an expression of a SELECT list, and records its alias for the expressions after it. */
function walkSelected(
  expression: Node,
  scope: Scope,
  aliases: Map<string, Aliased>,
): { columns: number; bytes: number; sizes: ColumnSizes; row: number } {
  const { walk } = scope;
  const before = { made: walk.made, expressions: walk.expressions };
  const bytes = walkExpression(expression, scope);
  const made = walk.made - before.made;
  const expressions = walk.expressions - before.expressions;
  if (starsIn(expression)) {
    // An expression over COLUMNS() is evaluated once per column.
    addMade(walk, made * Math.max(0, scope.columns - 1));
    countExpressions(walk, expressions * Math.max(0, scope.columns - 1));
    const isPlain = expression.class === "STAR" && expression.columns !== true;
    const sizes = isPlain ? joinSizes(scope.sizes, replacedSizes(expression, bytes)) : unnamed(bytes);
    const row = isPlain ? scope.row + bytes : scope.columns * (bytes + NAME_BYTES_MAX);
    return { columns: scope.columns, bytes, sizes, row };
  }
  const alias = typeof expression.alias === "string" ? lower(expression.alias) : undefined;
  if (alias !== undefined) aliases.set(alias, { bytes, made, expressions });
  const name = alias ?? nameOfColumn(expression);
  return {
    columns: 1,
    bytes,
    sizes: name === undefined ? unnamed(bytes) : { named: new Map([[name, bytes]]), rest: 0 },
    // Without an alias, the text of the expression is the column's name.
    row: bytes + (name === undefined ? EXPRESSION_NAME_BYTES_MAX : Buffer.byteLength(name)),
  };
}

/** The maximum length of a tag's name. */
const NAME_BYTES_MAX = 256;
const EXPRESSION_NAME_BYTES_MAX = 16 * 1_024;

/** Sizes of columns that `* REPLACE (…)` or `* RENAME (…)` may add. */
function replacedSizes(star: Node, bytes: number): ColumnSizes {
  return star.replace_list === undefined && star.rename_list === undefined ? unnamed(0) : unnamed(bytes);
}

function nameOfColumn(expression: Node): string | undefined {
  return expression.class === "COLUMN_REF"
    ? lower((expression.column_names as readonly unknown[]).at(-1))
    : undefined;
}

const NO_TABLE: Measure = { columns: 0, tables: 0, bytes: FIXED_BYTES };

function walkTable(node: Node, scope: Scope): Measure {
  return deeper(scope.walk, () => {
    checkSample(node.sample as Node | undefined);
    switch (node.type) {
      case "EMPTY":
        only(node);
        return NO_TABLE;
      case "BASE_TABLE":
        return walkBaseTable(node, scope);
      case "JOIN":
        return walkJoin(node, scope);
      case "SUBQUERY":
        only(node, "sample subquery column_name_alias");
        return renamed(walkSelect(node.subquery as Node, scope), node.column_name_alias);
      case "EXPRESSION_LIST": {
        only(node, "sample values expected_names expected_types column_name_alias");
        const rows = nodes(node.values) as unknown as readonly (readonly Node[])[];
        const bytes = rows.map((row) => walkExpressions(row, scope));
        return renamed(
          { columns: rows[0]?.length ?? 0, tables: 0, bytes: Math.max(FIXED_BYTES, ...bytes) },
          node.column_name_alias,
        );
      }
      case "TABLE_FUNCTION":
        return walkTableFunction(node, scope);
      case "SHOW_REF":
        return walkShow(node, scope);
      case "PIVOT":
        return walkPivot(node, scope);
      default:
        throw unknown(describe(node));
    }
  });
}

/** `DESCRIBE`, `SUMMARIZE` and `SHOW TABLES`. The latter lists only the tables that a statement may name. */
function walkShow(node: Node, scope: Scope): Measure {
  if (node.query !== undefined && (node.show_type === "DESCRIBE" || node.show_type === "SUMMARY")) {
    only(node, "query show_type");
    return { ...walkQuery(node.query as Node, scope), columns: 12, bytes: STORED_BYTES };
  }
  only(node, "table_name show_type");
  const listing = SHOWN.get(node.table_name);
  if (listing === undefined)
    throw forbidden(
      "only SHOW TABLES, SHOW ALL TABLES and SHOW TABLE are allowed; GET /api/v1/tables lists the tables",
    );
  return listed(listing, scope);
}

const SHOWN: ReadonlyMap<unknown, Listing> = new Map([
  ['"tables"', "names"],
  ["__show_tables_expanded", "details"],
]);

/** A list of tables or columns that replaces the engine's own. */
function listed(listing: Listing, scope: Scope): Measure {
  scope.walk.listings.add(listing);
  scope.walk.isRewritten = true;
  return { columns: 20, tables: 1, bytes: STORED_BYTES };
}

const PIVOT_NAMES_BYTES_MAX = 64 * 1_024;

/** `UNPIVOT`, and `PIVOT` with a list of values. pivot.ts has already completed a PIVOT without a list. */
function walkPivot(node: Node, scope: Scope): Measure {
  only(node, "sample source aggregates pivots groups unpivot_names column_name_alias include_nulls");
  const source = walkTable(node.source as Node, scope);
  const inside = within(scope, source);
  const madeBefore = scope.walk.made;
  let bytes = source.bytes;
  for (const aggregate of nodes(node.aggregates)) {
    if (
      aggregate.class === "FUNCTION" &&
      allowedFunction(lower(aggregate.function_name))?.guard !== undefined
    )
      throw forbidden(
        `${lower(aggregate.function_name)}() is not allowed in PIVOT; aggregate it in a subquery first, and PIVOT with any_value()`,
      );
    bytes = Math.max(bytes, walkExpression(aggregate, inside));
  }
  const made = scope.walk.made - madeBefore;
  let cells = 1;
  for (const pivot of nodes(node.pivots)) {
    if (otherKey(pivot, "pivot_expressions unpivot_names entries") !== undefined)
      throw forbidden("PIVOT takes its values from a list: PIVOT t ON column IN ('a', 'b')");
    walkExpressions(pivot.pivot_expressions, inside);
    const entries = nodes(pivot.entries);
    for (const entry of entries) {
      onlyKeys(entry, "values star_expr alias", "an entry of PIVOT");
      for (const value of nodes(entry.values)) checkConstant(value);
      if (entry.star_expr !== undefined) walkExpression(entry.star_expr as Node, inside);
    }
    if (pivot.pivot_expressions !== undefined) cells *= entries.length;
  }
  const isUnpivot = nodes(node.unpivot_names).length > 0;
  const added = isUnpivot ? 2 : cells * Math.max(1, nodes(node.aggregates).length);
  if (added > COLUMNS_MAX) throw forbidden(`PIVOT makes more than ${COLUMNS_MAX} columns`);
  addMade(scope.walk, made * (isUnpivot ? 1 : cells));
  const columns = source.columns + added;
  // The new columns are named after values in the statement's text.
  const row = rowOf(source) + columns * bytes + PIVOT_NAMES_BYTES_MAX;
  return renamed({ columns, tables: source.tables, bytes, row }, node.column_name_alias);
}

/** A suggestion for the name of a table: for a metric's name as pushed, a misspelled name or an incomplete one. */
function hint(name: string, { walk, ctes }: Scope): string {
  const table = lower(name).replace(/[^a-z0-9_]/g, "_");
  const names = [...ctes.keys(), ...walk.catalog.names()];
  const words = table.split("_").filter((word) => word !== "");
  // A measurement of InfluxDB without its field, such as cpu. Among short names, two edits are no similarity.
  const begun = names.filter((each) => table !== "" && lower(each).startsWith(`${table}_`));
  const near =
    nearest(table, names, 1) ??
    begun.sort((a, b) => a.length - b.length)[0] ??
    nearest(table, names) ??
    names.find((each) => words.length > 0 && words.every((word) => lower(each).split("_").includes(word)));
  return near === undefined ? "; " : `; did you mean ${near}? `;
}

const LISTINGS: ReadonlySet<string> = new Set(Object.values(LISTING_VIEWS));

/** The tables of information_schema that a statement may read. */
const INFORMATION: ReadonlySet<string> = new Set(["tables", "columns"]);

function walkBaseTable(node: Node, scope: Scope): Measure {
  const name = String(node.table_name ?? "");
  if (
    lower(node.schema_name ?? "") === "information_schema" &&
    node.catalog_name === undefined &&
    INFORMATION.has(lower(name))
  ) {
    only(node, "sample schema_name table_name column_name_alias");
    return listed(lower(name) as Listing, scope);
  }
  if (node.schema_name !== undefined || node.catalog_name !== undefined) {
    const qualified = [node.catalog_name, node.schema_name, name]
      .filter((part) => part !== undefined)
      .join(".");
    throw forbidden(
      `${quote(qualified)} is not allowed: tables are named without a schema${hint(qualified, scope).trimEnd().replace(/;$/, "")}`,
    );
  }
  only(node, "sample table_name column_name_alias");
  const cte = scope.ctes.get(lower(name));
  if (cte !== undefined) {
    addMade(scope.walk, cte.made ?? 0);
    return { ...renamed(cte, node.column_name_alias), tables: cte.tables + 1 };
  }
  if (scope.walk.isOurs && LISTINGS.has(name)) return { columns: 20, tables: 1, bytes: STORED_BYTES };
  const columns = scope.walk.catalog.columnsOf(lower(name));
  if (columns === undefined)
    throw new BadInput(
      `there is no table ${quote(name)}${hint(name, scope)}GET /api/v1/tables lists the tables`,
      "sql",
    );
  scope.walk.tables.add(lower(name));
  const named = new Map(columns.map(({ name, type }) => [lower(name), sizeOfType(type)]));
  return {
    columns: columns.length,
    tables: 1,
    bytes: Math.max(FIXED_BYTES, ...named.values()),
    sizes: { named, rest: 0 },
    row: columns.reduce((all, { name, type }) => all + sizeOfType(type) + Buffer.byteLength(name), 0),
  };
}

/** The maximum size of a value of a stored column. The labels of a series together are rarely larger. */
function sizeOfType(type: string): number {
  if (type.startsWith("MAP") || type.endsWith("[]")) return 4 * STORED_BYTES;
  return type === "VARCHAR" ? STORED_BYTES : FIXED_BYTES;
}

function walkJoin(node: Node, scope: Scope): Measure {
  only(node, "sample left right condition join_type ref_type using_columns delim_flipped");
  const left = walkTable(node.left as Node, scope);
  // The right side of a lateral join may refer to the left.
  const right = walkTable(node.right as Node, {
    ...scope,
    bytes: Math.max(scope.bytes, left.bytes),
    sizes: left.sizes ?? unnamed(left.bytes),
    row: scope.row + rowOf(left),
  });
  const both = joined(left, right);
  if (node.condition !== undefined) walkExpression(node.condition as Node, within(scope, both));
  return both;
}

/** The measure of two tables side by side. */
function joined(left: Measure, right: Measure): Measure {
  return {
    columns: left.columns + right.columns,
    tables: left.tables + right.tables,
    bytes: Math.max(left.bytes, right.bytes),
    sizes: joinSizes(left.sizes ?? unnamed(left.bytes), right.sizes ?? unnamed(right.bytes)),
    row: rowOf(left) + rowOf(right),
  };
}

function walkTableFunction(node: Node, scope: Scope): Measure {
  only(node, "sample function column_name_alias with_ordinality");
  const call = node.function as Node;
  if (call?.class !== "FUNCTION") throw unknown(describe(node));
  only(call, "function_name schema children order_bys distinct is_operator export_state");
  if (call.schema !== undefined && call.schema !== "main")
    throw unknown(`a function of ${quote(call.schema)}`);
  const children = nodes(call.children);
  const name = lower(call.function_name);
  const found = allowedTableFunction(name);
  if (found === undefined)
    throw forbidden(`${name}() is not allowed in FROM; only range, generate_series and unnest are`);
  found.check?.(name, children);
  const bytes = Math.max(FIXED_BYTES, walkExpressions(children, scope));
  // Its column has the function's name or the alias. The alias may also mean the whole row.
  const named = new Map([[name, bytes]]);
  if (typeof node.alias === "string") named.set(lower(node.alias), 2 * bytes);
  return renamed({ columns: 2, tables: 1, bytes, sizes: { named, rest: bytes } }, node.column_name_alias);
}

function walkModifiers(modifiers: unknown, scope: Scope): void {
  for (const modifier of nodes(modifiers)) {
    switch (modifier.type) {
      case "ORDER_MODIFIER":
        only(modifier, "orders");
        walkOrders(modifier.orders, scope);
        break;
      case "LIMIT_MODIFIER":
      case "LIMIT_PERCENT_MODIFIER":
        only(modifier, "limit offset");
        for (const part of [modifier.limit, modifier.offset])
          if (part !== undefined) walkExpression(part as Node, scope);
        break;
      case "DISTINCT_MODIFIER":
        only(modifier, "distinct_on_targets");
        walkExpressions(modifier.distinct_on_targets, scope);
        break;
      default:
        throw unknown(describe(modifier));
    }
  }
}

function checkSample(sample: Node | undefined): void {
  if (sample === undefined) return;
  onlyKeys(sample, "sample_size is_percentage method seed repeatable", "TABLESAMPLE");
  if (sample.is_percentage !== true && Number((sample.sample_size as Node).value) > SAMPLE_ROWS_MAX)
    throw forbidden(`TABLESAMPLE takes at most ${SAMPLE_ROWS_MAX} rows`);
}

function sum(measures: readonly Measure[], key: "columns" | "tables"): number {
  return measures.reduce((total, measure) => total + measure[key], 0);
}
