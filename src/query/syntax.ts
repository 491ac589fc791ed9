/**
 * The walk over a statement's queries and tables. Every key of every object is looked at, and one that is not
 * known is refused: a later version of the engine may say something new there.
 *
 * On the way it measures what a statement becomes while it is planned, which no interrupt stops: columns
 * (`SELECT *, *` nested doubles them), tables (a CTE counts as often as it is named) and the size of values
 * (`s || s` nested doubles it).
 */
import { BadInput, Forbidden, quote } from "../errors.ts";
import { checkTableFunction, type Node } from "./allowed-functions.ts";
import { starsIn, walkExpression, walkExpressions, walkOrders } from "./expressions.ts";
import {
  type Catalog,
  deeper,
  describe,
  lower,
  type Measure,
  nodes,
  only,
  type Scope,
  unknown,
  type Walk,
} from "./walk.ts";

const COLUMNS_MAX = 2_000;
/** Tables of a statement; each stands for a part a day. */
const TABLES_MAX = 32;
const GROUPING_SETS_MAX = 64;
const SAMPLE_ROWS_MAX = 1_000_000;

/** Walks a statement, a `{node, named_param_map}`, and gives the tables that it names, in lower case. */
export function walkStatement(statement: Node, catalog: Catalog): ReadonlySet<string> {
  const walk: Walk = { catalog, tables: new Set(), subquery: walkSelect, depth: 0, extraTables: 0 };
  walkSelect(statement, { walk, ctes: new Map(), columns: 0, growth: 1 });
  return walk.tables;
}

/** A select statement as subqueries and CTEs hold it: `{node}`. */
function walkSelect(select: Node, outer: Scope): Measure {
  for (const key of Object.keys(select))
    if (key !== "node" && key !== "named_param_map") throw unknown(`a statement with ${quote(key)}`);
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
    if (tables > TABLES_MAX) throw new Forbidden(`the statement names more than ${TABLES_MAX} tables`, "sql");
    if (measure.columns > COLUMNS_MAX)
      throw new Forbidden(`the statement makes more than ${COLUMNS_MAX} columns`, "sql");
    return { ...measure, tables };
  });
}

function walkQueryNode(node: Node, outer: Scope): Measure {
  const scope = { ...outer, ctes: walkCtes(node.cte_map as Node | undefined, outer) };
  switch (node.type) {
    case "SELECT_NODE":
      return walkSelectNode(node, scope);
    case "SET_OPERATION_NODE": {
      only(node, "modifiers", "cte_map", "setop_type", "left", "right", "setop_all", "children");
      const arms = [node.left, node.right, ...nodes(node.children)]
        .filter((arm) => arm !== undefined)
        .map((arm) => walkQuery(arm as Node, scope));
      const measure = {
        columns:
          node.setop_type === "UNION_BY_NAME"
            ? sum(arms, "columns")
            : Math.max(...arms.map((arm) => arm.columns)),
        tables: sum(arms, "tables"),
        growth: Math.max(1, ...arms.map((arm) => arm.growth)),
      };
      walkModifiers(node.modifiers, { ...scope, ...measure });
      return measure;
    }
    case "RECURSIVE_CTE_NODE":
      throw new Forbidden("WITH RECURSIVE is not allowed", "sql");
    default:
      throw unknown(describe(node));
  }
}

function walkCtes(map: Node | undefined, outer: Scope): ReadonlyMap<string, Measure> {
  if (map === undefined) return outer.ctes;
  const ctes = new Map(outer.ctes);
  if (Object.keys(map).some((key) => key !== "map")) throw unknown("a WITH clause");
  for (const entry of nodes(map.map)) {
    const value = entry.value as Node;
    for (const key of Object.keys(value))
      if (!["aliases", "query", "materialized"].includes(key)) throw unknown(`WITH … ${quote(key)}`);
    // Its own name is not yet in scope: only a recursive one could mean itself.
    ctes.set(lower(entry.key), walkSelect(value.query as Node, { ...outer, ctes }));
  }
  return ctes;
}

function walkSelectNode(node: Node, outer: Scope): Measure {
  only(
    node,
    ...[
      "modifiers",
      "cte_map",
      "select_list",
      "from_table",
      "where_clause",
      "group_expressions",
      "group_sets",
    ],
    ...["aggregate_handling", "having", "sample", "qualify"],
  );
  const from = walkTable(node.from_table as Node, outer);
  const scope = { ...outer, columns: from.columns, growth: Math.max(outer.growth, from.growth) };
  let columns = 0;
  let growth = 1;
  for (const expression of nodes(node.select_list)) {
    growth = Math.max(growth, walkExpression(expression, scope));
    columns += starsIn(expression) ? scope.columns : 1;
  }
  for (const key of ["where_clause", "having", "qualify"])
    if (node[key] !== undefined) walkExpression(node[key] as Node, scope);
  walkExpressions(node.group_expressions, scope);
  if (nodes(node.group_sets).length > GROUPING_SETS_MAX)
    throw new Forbidden(`GROUP BY makes more than ${GROUPING_SETS_MAX} grouping sets`, "sql");
  checkSample(node.sample as Node | undefined);
  walkModifiers(node.modifiers, { ...scope, growth: Math.max(scope.growth, growth) });
  return { columns, tables: from.tables, growth };
}

const NO_TABLE: Measure = { columns: 0, tables: 0, growth: 1 };

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
        only(node, "sample", "subquery", "column_name_alias");
        return walkSelect(node.subquery as Node, scope);
      case "EXPRESSION_LIST": {
        only(node, "sample", "values", "expected_names", "expected_types", "column_name_alias");
        const rows = nodes(node.values) as unknown as readonly (readonly Node[])[];
        const growth = rows.map((row) => walkExpressions(row, scope));
        return { columns: rows[0]?.length ?? 0, tables: 0, growth: Math.max(1, ...growth) };
      }
      case "TABLE_FUNCTION":
        return walkTableFunction(node, scope);
      case "SHOW_REF":
        // DESCRIBE and SUMMARIZE of a query; without one it would list the engine's own tables.
        if (node.query === undefined || (node.show_type !== "DESCRIBE" && node.show_type !== "SUMMARY"))
          throw new Forbidden("SHOW is not allowed; GET /api/v1/tables lists the tables", "sql");
        only(node, "query", "show_type");
        return { ...walkQuery(node.query as Node, scope), columns: 12 };
      default:
        throw unknown(describe(node));
    }
  });
}

/** For who asks for a metric by the name that it was pushed with: http.request.duration_ms. */
function hint(name: string, { walk }: Scope): string {
  const table = lower(name).replace(/[^a-z0-9_]/g, "_");
  return table !== lower(name) && walk.catalog.columnsOf(table) !== undefined
    ? `, did you mean ${table}?`
    : "";
}

function walkBaseTable(node: Node, scope: Scope): Measure {
  const name = String(node.table_name ?? "");
  if (node.schema_name !== undefined || node.catalog_name !== undefined) {
    const qualified = [node.catalog_name, node.schema_name, name]
      .filter((part) => part !== undefined)
      .join(".");
    throw new Forbidden(
      `${quote(qualified)} is not allowed: tables are named without a schema${hint(qualified, scope)}`,
      "sql",
    );
  }
  only(node, "sample", "table_name", "column_name_alias");
  const cte = scope.ctes.get(lower(name));
  if (cte !== undefined) return { ...cte, tables: cte.tables + 1 };
  const columns = scope.walk.catalog.columnsOf(lower(name));
  if (columns === undefined)
    throw new BadInput(
      `there is no table ${quote(name)}${hint(name, scope)}; GET /api/v1/tables lists the tables`,
      "sql",
    );
  scope.walk.tables.add(lower(name));
  return { columns, tables: 1, growth: 1 };
}

function walkJoin(node: Node, scope: Scope): Measure {
  only(
    node,
    ...["sample", "left", "right", "condition", "join_type", "ref_type", "using_columns", "delim_flipped"],
  );
  const left = walkTable(node.left as Node, scope);
  // The right side of a lateral join may refer to the left.
  const right = walkTable(node.right as Node, { ...scope, growth: Math.max(scope.growth, left.growth) });
  const both = {
    columns: left.columns + right.columns,
    tables: left.tables + right.tables,
    growth: Math.max(left.growth, right.growth),
  };
  if (node.condition !== undefined) walkExpression(node.condition as Node, { ...scope, ...both });
  return both;
}

function walkTableFunction(node: Node, scope: Scope): Measure {
  only(node, "sample", "function", "column_name_alias", "with_ordinality");
  const call = node.function as Node;
  if (call?.class !== "FUNCTION") throw unknown(describe(node));
  only(call, "function_name", "schema", "children", "order_bys", "distinct", "is_operator", "export_state");
  if (call.schema !== undefined && call.schema !== "main")
    throw unknown(`a function of ${quote(call.schema)}`);
  const children = nodes(call.children);
  checkTableFunction(lower(call.function_name), children);
  return { columns: 2, tables: 1, growth: walkExpressions(children, scope) };
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
        only(modifier, "limit", "offset");
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
  for (const key of Object.keys(sample))
    if (!["sample_size", "is_percentage", "method", "seed", "repeatable"].includes(key))
      throw unknown("TABLESAMPLE");
  if (sample.is_percentage !== true && Number((sample.sample_size as Node).value) > SAMPLE_ROWS_MAX)
    throw new Forbidden(`TABLESAMPLE takes at most ${SAMPLE_ROWS_MAX} rows`, "sql");
}

function sum(measures: readonly Measure[], key: "columns" | "tables"): number {
  return measures.reduce((total, measure) => total + measure[key], 0);
}
