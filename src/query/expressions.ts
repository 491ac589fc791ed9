/**
 * The walk over a statement's expressions: known classes, functions of the list, types of the list, constants
 * of bounded length. See syntax.ts for the walk as a whole.
 */
import { Forbidden, quote } from "../errors.ts";
import { checkColumnName, checkFunction, isGrowing, type Node } from "./allowed-functions.ts";
import { boundedGrowth, deeper, describe, lower, nodes, only, type Scope, unknown } from "./walk.ts";

/** As long as a stored value may be; longer ones match nothing. */
const TEXT_LENGTH_MAX = 4_096;
/** Constants up to this length do not count when values are joined. */
const TEXT_LENGTH_SMALL = 64;

const OPERATORS: ReadonlySet<unknown> = new Set([
  "ARRAY_EXTRACT",
  "ARRAY_SLICE",
  "ARRAY_CONSTRUCTOR",
  "STRUCT_EXTRACT",
  "OPERATOR_IS_NULL",
  "OPERATOR_IS_NOT_NULL",
  "OPERATOR_NOT",
  "OPERATOR_COALESCE",
  "COMPARE_IN",
  "COMPARE_NOT_IN",
  "GROUPING_FUNCTION",
]);

/** Casts to lists, arrays (of any size), structs and types by name are left out. */
const TYPES: ReadonlySet<unknown> = new Set([
  ...["NULL", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT"],
  ...["UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "VARCHAR", "DATE", "TIME", "INTERVAL"],
  ...["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "UUID"],
]);

const COLLATIONS: ReadonlySet<string> = new Set(["nocase", "noaccent", "nocase.noaccent", "binary"]);

/** The list of an ORDER BY. */
export function walkOrders(orders: unknown, scope: Scope): void {
  for (const order of nodes(orders)) {
    only(order, "null_order", "expression");
    walkExpression(order.expression as Node, scope);
  }
}

/** Walks a list of expressions and gives their largest growth. */
export function walkExpressions(list: unknown, scope: Scope): number {
  return nodes(list).reduce((growth, node) => Math.max(growth, walkExpression(node, scope)), 0);
}

/** Walks one expression, and gives its growth; throws where it holds anything that is not allowed. */
export function walkExpression(node: Node, scope: Scope): number {
  return deeper(scope.walk, () => {
    if (typeof node !== "object" || node === null) throw unknown("an expression that is none");
    return boundedGrowth(growthOf(node, scope));
  });
}

/** Walks an expression by its class, and gives its growth. */
function growthOf(node: Node, scope: Scope): number {
  const walk = (key: string) => (node[key] === undefined ? 0 : walkExpression(node[key] as Node, scope));
  switch (node.class) {
    case "BETWEEN":
      only(node, "input", "lower", "upper");
      return Math.max(walk("input"), walk("lower"), walk("upper"));
    case "CASE": {
      only(node, "case_checks", "else_expr");
      const checks = nodes(node.case_checks).map((check) => {
        if (Object.keys(check).some((key) => key !== "when_expr" && key !== "then_expr"))
          throw unknown("CASE");
        return walkExpressions([check.when_expr, check.then_expr], scope);
      });
      return Math.max(walk("else_expr"), ...checks);
    }
    case "CAST":
      only(node, "child", "cast_type", "try_cast");
      checkType(node.cast_type as Node);
      return walk("child");
    case "COLLATE":
      only(node, "child", "collation");
      if (!COLLATIONS.has(lower(node.collation)))
        throw new Forbidden(`the collation ${quote(node.collation)} is not allowed`, "sql");
      return walk("child");
    case "COLUMN_REF": {
      only(node, "column_names");
      const names = node.column_names as readonly unknown[];
      if (!Array.isArray(names) || names.some((name) => typeof name !== "string"))
        throw unknown("a column's name");
      if (names.length === 1) checkColumnName(String(names[0]));
      return scope.growth;
    }
    case "COMPARISON":
      only(node, "left", "right");
      return Math.max(walk("left"), walk("right"));
    case "CONJUNCTION":
      only(node, "children");
      return walkExpressions(node.children, scope);
    case "CONSTANT":
      only(node, "value");
      return checkConstant(node.value as Node);
    case "FUNCTION":
      return walkFunction(node, scope);
    case "OPERATOR":
      only(node, "children");
      if (!OPERATORS.has(node.type)) throw unknown(describe(node));
      return node.type === "ARRAY_CONSTRUCTOR"
        ? sumOfGrowth(node.children, scope)
        : walkExpressions(node.children, scope);
    case "PARAMETER":
      only(node, "identifier");
      return 1;
    case "POSITIONAL_REFERENCE":
      only(node, "index");
      return scope.growth;
    case "STAR":
      return walkStar(node, scope);
    case "SUBQUERY":
      return walkSubquery(node, scope);
    case "WINDOW":
      return walkWindow(node, scope);
    case "LAMBDA":
      throw new Forbidden("lambdas and list comprehensions are not allowed", "sql");
    default:
      throw unknown(describe(node));
  }
}

function walkFunction(node: Node, scope: Scope): number {
  only(
    node,
    ...[
      "function_name",
      "schema",
      "children",
      "filter",
      "order_bys",
      "distinct",
      "is_operator",
      "export_state",
    ],
  );
  const name = checkCall(node);
  if (node.filter !== undefined) walkExpression(node.filter as Node, scope);
  const orders = node.order_bys as Node | undefined;
  if (orders !== undefined) {
    only(orders, "orders");
    walkOrders(orders.orders, scope);
  }
  if (isGrowing(name)) return sumOfGrowth(node.children, scope);
  const growth = walkExpressions(node.children, scope);
  // A list of pieces takes 16 bytes a piece besides their text.
  return name === "string_split" || name === "split_part" ? 4 * growth : growth;
}

/** Checks the name of a call and its arguments' shapes; gives the name in lower case. */
function checkCall(node: Node): string {
  const name = lower(node.function_name);
  // x.f() puts a column's name where a schema would stand; system.main.now() would pass by our now().
  if (node.schema !== undefined && lower(node.schema) !== "main") {
    throw new Forbidden(
      `${quote(`${String(node.schema)}.${name}()`)} is not allowed: functions are called by their names alone`,
      "sql",
    );
  }
  checkFunction(name, nodes(node.children));
  return name;
}

function walkWindow(node: Node, scope: Scope): number {
  only(
    node,
    ...[
      "function_name",
      "schema",
      "children",
      "partitions",
      "orders",
      "start",
      "end",
      "start_expr",
      "end_expr",
    ],
    ...[
      "offset_expr",
      "default_expr",
      "ignore_nulls",
      "filter_expr",
      "exclude_clause",
      "distinct",
      "arg_orders",
    ],
  );
  checkCall(node);
  walkExpressions(node.partitions, scope);
  walkOrders(node.orders, scope);
  walkOrders(node.arg_orders, scope);
  for (const key of ["start_expr", "end_expr", "offset_expr", "default_expr", "filter_expr"])
    if (node[key] !== undefined) walkExpression(node[key] as Node, scope);
  return Math.max(scope.growth, walkExpressions(node.children, scope));
}

function walkSubquery(node: Node, scope: Scope): number {
  only(node, "subquery_type", "subquery", "child", "comparison_type");
  const child = node.child === undefined ? 0 : walkExpression(node.child as Node, scope);
  const measure = scope.walk.subquery(node.subquery as Node, scope);
  scope.walk.extraTables += measure.tables;
  return Math.max(child, measure.growth);
}

/** `*`, `t.*`, `* EXCLUDE (…) REPLACE (…)` and `COLUMNS('pattern')`. */
function walkStar(node: Node, scope: Scope): number {
  only(
    node,
    ...[
      "relation_name",
      "exclude_list",
      "qualified_exclude_list",
      "replace_list",
      "rename_list",
      "columns",
      "expr",
    ],
  );
  let growth = scope.growth;
  for (const entry of nodes(node.replace_list))
    growth = Math.max(growth, walkExpression(entry.value as Node, scope));
  if (node.expr !== undefined) {
    const pattern = node.expr as Node;
    if (pattern.class !== "CONSTANT")
      throw new Forbidden("COLUMNS() takes a pattern in quotation marks", "sql");
    checkConstant(pattern.value as Node);
  }
  return growth;
}

/** Whether an expression of a select list is made once for each column: one that holds `*` or COLUMNS(). */
export function starsIn(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if ((value as Node).class === "STAR") return true;
  if ((value as Node).class === "SUBQUERY") return false;
  return Object.values(value).some(starsIn);
}

function sumOfGrowth(list: unknown, scope: Scope): number {
  return nodes(list).reduce((sum, node) => sum + walkExpression(node, scope), 0);
}

function checkConstant(value: Node): number {
  if (typeof value !== "object" || value === null) throw unknown("a constant");
  if (Object.keys(value).some((key) => key !== "type" && key !== "is_null" && key !== "value"))
    throw unknown("a constant");
  checkType(value.type as Node);
  const content = value.value;
  if (typeof content === "string") {
    if (content.length > TEXT_LENGTH_MAX)
      throw new Forbidden(`a text in the statement has more than ${TEXT_LENGTH_MAX} characters`, "sql");
    return content.length > TEXT_LENGTH_SMALL ? 1 : 0;
  }
  return 0;
}

function checkType(type: Node): void {
  if (typeof type !== "object" || type === null) throw unknown("a type");
  if (Object.keys(type).some((key) => key !== "id" && key !== "type_info")) throw unknown("a type");
  if (!TYPES.has(type.id)) {
    const name = (type.type_info as Node | undefined)?.name ?? type.id;
    throw new Forbidden(`the type ${quote(name)} is not allowed here`, "sql");
  }
  const info = type.type_info as Node | undefined;
  if (
    info !== undefined &&
    Object.keys(info).some((key) => !["type", "alias", "width", "scale", "collation"].includes(key))
  )
    throw unknown(`the type ${String(type.id)}`);
}
