/**
 * The walk over a statement's expressions. It allows known classes, listed functions, listed types, and constants of
 * limited length. It computes the maximum size of each value, in bytes. syntax.ts describes the whole walk.
 */
import { type Forbidden, quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";
import { checkJsonPath, constantOf } from "./call-arguments.ts";
import {
  type AllowedFunction,
  allowedFunction,
  allowedFunctions,
  KNOWN_ELSEWHERE,
  refusedName,
} from "./allowed-functions.ts";
import { walkColumnsLambda, walkLambdaCall } from "./lambdas.ts";
import { elements, FIXED_BYTES, SHORT_BYTES, type SizedCall, STORED_BYTES } from "./sizes.ts";
import {
  count,
  countExpressions,
  deeper,
  describe,
  forbidden,
  lower,
  type Macro,
  make,
  methodCall,
  type Node,
  nodes,
  only,
  onlyKeys,
  otherKey,
  type Scope,
  sizeOfColumn,
  timesOf,
  unknown,
} from "./walk.ts";

/** The maximum length of a stored value. A longer text matches nothing. */
const TEXT_LENGTH_MAX = STORED_BYTES;
/** The maximum rows of the frame if list() or string_agg() is a window function. */
const FRAME_ROWS_MAX = 1_000;

const OPERATORS: ReadonlySet<unknown> = new Set([
  "ARRAY_EXTRACT",
  "ARRAY_SLICE",
  "ARRAY_CONSTRUCTOR",
  "STRUCT_EXTRACT",
  "OPERATOR_IS_NULL",
  "OPERATOR_IS_NOT_NULL",
  "OPERATOR_NOT",
  "OPERATOR_COALESCE",
  "OPERATOR_TRY",
  "COMPARE_IN",
  "COMPARE_NOT_IN",
  "GROUPING_FUNCTION",
]);

/** Types whose values have a fixed size. */
const FIXED_TYPES: ReadonlySet<unknown> = new Set([
  ...["BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER"],
  ...["UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "DATE", "TIME", "INTERVAL", "TIMESTAMP", "UUID"],
  ...["TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"],
]);

/** Arrays of fixed length are not allowed: a cast could make one of any size. */
const TYPES: ReadonlySet<unknown> = new Set([...FIXED_TYPES, "NULL", "VARCHAR", "LIST", "STRUCT", "MAP"]);

const COLLATIONS: ReadonlySet<string> = new Set(["nocase", "noaccent", "nocase.noaccent", "binary"]);

/** Walks the list of an ORDER BY and returns the maximum size of its expressions. */
export function walkOrders(orders: unknown, scope: Scope): number {
  let bytes = 0;
  for (const order of nodes(orders)) {
    only(order, "null_order expression");
    bytes = Math.max(bytes, walkExpression(order.expression as Node, scope));
  }
  return bytes;
}

/** Walks a list of expressions and returns the maximum size. */
export function walkExpressions(list: unknown, scope: Scope): number {
  return nodes(list).reduce((bytes, node) => Math.max(bytes, walkExpression(node, scope)), 0);
}

/** Walks one expression and returns its size. Throws if it contains anything that is not allowed. */
export function walkExpression(node: Node, scope: Scope): number {
  return deeper(scope.walk, () => {
    if (typeof node !== "object" || node === null) throw unknown("a malformed expression");
    countExpressions(scope.walk, 1);
    return sizeOf(node, scope);
  });
}

/** Walks an expression by its class and returns its size. */
function sizeOf(node: Node, scope: Scope): number {
  const walk = (key: string) => (node[key] === undefined ? 0 : walkExpression(node[key] as Node, scope));
  const fixed = FIXED_BYTES * timesOf(scope);
  switch (node.class) {
    case "BETWEEN":
      only(node, "input lower upper");
      for (const key of ["input", "lower", "upper"]) walk(key);
      noteNumber(node.input, node.lower, "BETWEEN", scope);
      return fixed;
    case "CASE": {
      only(node, "case_checks else_expr");
      const checks = nodes(node.case_checks).map((check) => {
        onlyKeys(check, "when_expr then_expr", "CASE");
        walkExpression(check.when_expr as Node, scope);
        return walkExpression(check.then_expr as Node, scope);
      });
      return make("CASE", Math.max(walk("else_expr"), ...checks), scope);
    }
    case "CAST":
      only(node, "child cast_type try_cast");
      return walkCast(node, scope);
    case "COLLATE":
      only(node, "child collation");
      if (!COLLATIONS.has(lower(node.collation)))
        throw forbidden(`the collation ${quote(node.collation)} is not allowed`);
      return make("COLLATE", walk("child"), scope);
    case "COLUMN_REF":
      return walkColumn(node, scope);
    case "COMPARISON":
      only(node, "left right");
      walk("left");
      walk("right");
      noteNumber(node.left, node.right, String(node.type), scope);
      noteNumber(node.right, node.left, String(node.type), scope);
      return fixed;
    case "CONJUNCTION":
      only(node, "children");
      walkExpressions(node.children, scope);
      return fixed;
    case "CONSTANT":
      only(node, "value");
      return checkConstant(node.value as Node) * timesOf(scope);
    case "FUNCTION":
      return walkFunction(node, scope);
    case "OPERATOR":
      return walkOperator(node, scope);
    case "PARAMETER":
      only(node, "identifier");
      scope.walk.parameters.add(String(node.identifier));
      return STORED_BYTES * timesOf(scope);
    case "POSITIONAL_REFERENCE":
      only(node, "index");
      return scope.bytes * timesOf(scope);
    case "STAR":
      return walkStar(node, scope);
    case "SUBQUERY":
      return walkSubquery(node, scope);
    case "WINDOW":
      return walkWindow(node, scope);
    case "LAMBDA":
      // The parser cannot distinguish a lambda from JSON's arrow. Outside the list functions it is an arrow.
      only(node, "lhs expr");
      checkJsonPath("->", [node.lhs as Node, node.expr as Node]);
      return make("->", Math.max(fixed, walk("lhs")), scope);
    default:
      throw unknown(describe(node));
  }
}

/** The size of a column, or of a lambda's parameter, which counts all elements of its list together. */
function walkColumn(node: Node, scope: Scope): number {
  only(node, "column_names");
  const names = node.column_names as readonly unknown[];
  if (!Array.isArray(names) || names.some((name) => typeof name !== "string"))
    throw unknown("a column's name");
  const parameter = scope.lambda?.parameters.get(lower(names[0]));
  if (parameter !== undefined) return parameter;
  const lowered = names.map(lower);
  const times = timesOf(scope);
  if (lowered.length > 1) return sizeOfColumn(lowered, scope) * times;
  const name = lowered[0]!;
  checkColumnName(name, scope);
  const aliased = scope.aliases.get(name);
  if (aliased === undefined) return sizeOfColumn(lowered, scope) * times;
  countExpressions(scope.walk, aliased.expressions);
  count(aliased.made * times, scope);
  const { named, rest } = scope.sizes;
  return Math.max(aliased.bytes, named.get(name) ?? 0, rest, scope.outerBytes) * times;
}

/** Checks names that the engine reads as functions if no column has them. */
function checkColumnName(name: string, scope: Scope): void {
  const reason = refusedName(name);
  if (reason !== undefined) throw forbidden(`${name} is not allowed: ${reason}`);
  if (name !== "current_timestamp" && name !== "current_date") return;
  const { catalog, tables } = scope.walk;
  if ([...tables].some((table) => catalog.columnsOf(table)?.some((column) => lower(column.name) === name)))
    throw forbidden(
      `a column is named ${name}; write its table before it (t.${name}), or for the time now() or today()`,
    );
  scope.walk.isRewritten = true;
}

function walkCast(node: Node, scope: Scope): number {
  const type = node.cast_type as Node;
  checkType(type);
  const child = node.child as Node;
  const bytes = walkExpression(child, scope);
  const times = timesOf(scope);
  if (FIXED_TYPES.has(type.id)) {
    if (node.try_cast !== true && child.class === "COLUMN_REF") scope.walk.casts.push(columnName(child));
    return FIXED_BYTES * times;
  }
  // A list parsed from a text has at most one entry per two characters. A list written as text has quotes.
  if (type.id === "LIST" || type.id === "STRUCT" || type.id === "MAP")
    return make(
      "the cast to a list, struct or map",
      (1 + FIXED_BYTES) * bytes * (1 + fieldNames(type) / FIXED_BYTES),
      scope,
    );
  return make(
    "the cast to a text",
    bytes <= STORED_BYTES * times ? Math.max(bytes, 64 * times) : 2 * bytes,
    scope,
  );
}

function walkOperator(node: Node, scope: Scope): number {
  only(node, "children");
  if (!OPERATORS.has(node.type)) throw unknown(describe(node));
  const children = nodes(node.children);
  const sizes = children.map((child) => walkExpression(child, scope));
  const times = timesOf(scope);
  switch (node.type) {
    case "ARRAY_CONSTRUCTOR":
      return make("a list", elements({ sizes, times, constants: [], isReducing: false }), scope);
    case "OPERATOR_COALESCE":
      return make("coalesce()", Math.max(...sizes), scope);
    case "ARRAY_EXTRACT":
    case "ARRAY_SLICE":
    case "STRUCT_EXTRACT":
    case "OPERATOR_TRY":
      return make("an element", Math.max(FIXED_BYTES * times, sizes[0] ?? 0), scope);
    case "COMPARE_IN":
    case "COMPARE_NOT_IN":
      noteNumber(children[0], children[1], "IN", scope);
      return FIXED_BYTES * times;
    default:
      return FIXED_BYTES * times;
  }
}

/** Records a column that is compared with a number; see error-hint.ts. */
function noteNumber(column: unknown, number: unknown, operator: string, scope: Scope): void {
  const value = constantOf(number as Node | undefined);
  if ((column as Node | undefined)?.class !== "COLUMN_REF" || typeof value !== "number") return;
  scope.walk.numberUses.push({ column: columnName(column as Node), number: String(value), operator });
}

function columnName(node: Node): string {
  return String((node.column_names as readonly unknown[]).at(-1));
}

const FUNCTION_KEYS = "function_name schema children filter order_bys distinct is_operator export_state";

function walkFunction(node: Node, scope: Scope): number {
  const method = methodCall(node);
  if (method !== undefined) {
    scope.walk.isRewritten = true;
    return walkFunction(method, scope);
  }
  only(node, FUNCTION_KEYS);
  // The guards that rewrite.ts adds around a call return their argument.
  if (scope.walk.isOurs && GUARDS.has(lower(node.function_name)))
    return walkExpressions(node.children, scope);
  const found = checkCall(node, scope);
  // An aggregate in a lambda is computed before the lambda, once for all elements.
  if (scope.lambda !== undefined && found.kind === "aggregate")
    return walkFunction(node, { ...scope, lambda: undefined }) * timesOf(scope);
  if (node.filter !== undefined) walkExpression(node.filter as Node, scope);
  const orders = node.order_bys as Node | undefined;
  let orderBytes = 0;
  if (orders !== undefined) {
    only(orders, "orders");
    // percentile_cont(0.5) WITHIN GROUP (ORDER BY value) returns a value of its ORDER BY.
    orderBytes = walkOrders(orders.orders, scope);
  }
  const children = nodes(node.children);
  if (found.lambda !== undefined) return walkLambdaCall(found.lambda, children, scope, walkExpression);
  const sizes = children.map((child) => walkExpression(child, scope));
  if (found.kind === "aggregate" && found.guard === undefined) sizes.push(orderBytes);
  if (found.guard !== undefined) guard(found, scope);
  // Collected values are in the engine's memory, once per group.
  if (found.guard !== undefined) return sizeOfCall(found, children, sizes, scope);
  const title = found.isOperator === true ? found.name : `${found.name}()`;
  return make(title, sizeOfCall(found, children, sizes, scope) + namesOf(children) * timesOf(scope), scope);
}

/**
 * The bytes of the arguments' names. JSON and text contain the names of a struct's fields for each struct. Short names
 * take no more bytes than a number takes there.
 */
function namesOf(children: readonly Node[]): number {
  const names = children.map(({ alias }) => (typeof alias === "string" ? Buffer.byteLength(alias) : 0));
  return names.filter((bytes) => bytes > NAME_BYTES_SHORT).reduce((all, bytes) => all + bytes, 0);
}

const NAME_BYTES_SHORT = 8;

function sizeOfCall(
  found: AllowedFunction,
  children: readonly Node[],
  sizes: readonly number[],
  scope: Scope,
): number {
  const call: SizedCall = {
    sizes,
    times: timesOf(scope),
    constants: children.map(constantOf),
    isReducing: scope.lambda?.isReducing ?? false,
  };
  if (found.working !== undefined) count(found.working(call), scope);
  return found.size(call);
}

/** Notes that rewrite.ts must add a guard, which limits collected values while the statement runs. */
function guard(found: AllowedFunction, scope: Scope): void {
  scope.walk.isRewritten = true;
  scope.walk.macros.add(`weir_${found.guard!}`);
}

const GUARDS: ReadonlySet<string> = new Set<Macro>(["weir_text", "weir_list", "weir_map", "weir_reduced"]);
const MACROS: ReadonlySet<string> = new Set<Macro>(["local_time", "utc_time"]);

/** Checks the name of a call and its arguments. */
function checkCall(node: Node, scope: Scope): AllowedFunction {
  const name = lower(node.function_name);
  // A window function cannot be called on a column. system.main.now() would bypass our now().
  if (node.schema !== undefined && lower(node.schema) !== "main") {
    throw forbidden(
      `${quote(`${String(node.schema)}.${name}()`)} is not allowed: functions are called by their names alone`,
    );
  }
  if (name === "get_current_timestamp" || name === "transaction_timestamp") {
    scope.walk.isRewritten = true;
    return allowedFunction("now")!;
  }
  const found = allowedFunction(name);
  if (found === undefined) throw notAllowed(name);
  if (scope.lambda !== undefined && (found.kind === "window" || found.guard !== undefined))
    throw forbidden(`a lambda cannot contain ${name}()`);
  found.check?.(name, nodes(node.children));
  if (MACROS.has(name)) scope.walk.macros.add(name as Macro);
  return found;
}

/** The error for a function that is not allowed: the reason, a similar name, and where the list is. */
function notAllowed(name: string): Forbidden {
  const reason = refusedName(name);
  if (reason !== undefined) return forbidden(`${name}() is not allowed: ${reason}`);
  const near =
    KNOWN_ELSEWHERE.get(name) ??
    nearest(
      name,
      allowedFunctions().map((each) => each.name),
    );
  return forbidden(
    `the function ${name}() is not allowed here${near === undefined ? ";" : `, did you mean ${near}?`} ` +
      "GET /api/v1/sql/functions lists those that are",
  );
}

function walkWindow(node: Node, scope: Scope): number {
  only(
    node,
    "function_name schema children partitions orders start end start_expr end_expr offset_expr default_expr " +
      "ignore_nulls filter_expr exclude_clause distinct arg_orders",
  );
  const found = checkCall(node, scope);
  walkExpressions(node.partitions, scope);
  walkOrders(node.orders, scope);
  walkOrders(node.arg_orders, scope);
  for (const key of ["start_expr", "end_expr", "offset_expr", "default_expr", "filter_expr"])
    if (node[key] !== undefined) walkExpression(node[key] as Node, scope);
  const children = nodes(node.children);
  const sizes = children.map((child) => walkExpression(child, scope));
  if (found.guard === undefined)
    return make(
      `${found.name}()`,
      Math.max(sizeOfCall(found, children, sizes, scope), node.default_expr === undefined ? 0 : scope.bytes),
      scope,
    );
  const rows = frameRows(node);
  if (rows === undefined)
    throw forbidden(
      `${found.name}() with OVER needs a frame: ROWS BETWEEN … PRECEDING AND … FOLLOWING, of at most ${FRAME_ROWS_MAX} rows`,
    );
  // A map of counts has a number for each value.
  const each = sizes.reduce((all, size) => all + size + FIXED_BYTES, FIXED_BYTES);
  return make(`${found.name}() over ${rows} rows`, rows * each, scope);
}

/** The maximum rows of a window's frame; undefined if its bounds are not constants within the limit. */
function frameRows(node: Node): number | undefined {
  const bound = (kind: unknown, expression: unknown): number | undefined => {
    if (kind === "CURRENT_ROW_ROWS") return 0;
    const value = constantOf(expression as Node | undefined);
    if (typeof value !== "number" || !Number.isInteger(value) || Math.abs(value) > FRAME_ROWS_MAX)
      return undefined;
    if (kind === "EXPR_PRECEDING_ROWS") return -value;
    return kind === "EXPR_FOLLOWING_ROWS" ? value : undefined;
  };
  const start = bound(node.start, node.start_expr);
  const end = bound(node.end, node.end_expr);
  return start === undefined || end === undefined || end - start > FRAME_ROWS_MAX
    ? undefined
    : Math.max(0, end - start) + 1;
}

function walkSubquery(node: Node, scope: Scope): number {
  only(node, "subquery_type subquery child comparison_type");
  if (scope.lambda !== undefined) throw forbidden("a lambda cannot contain a subquery");
  const child = node.child === undefined ? 0 : walkExpression(node.child as Node, scope);
  const measure = scope.walk.subquery(node.subquery as Node, scope);
  scope.walk.extraTables += measure.tables;
  // ARRAY(SELECT …) collects every row, and nothing limits it.
  if (
    node.subquery_type !== "SCALAR" &&
    node.subquery_type !== "EXISTS" &&
    node.subquery_type !== "NOT_EXISTS"
  )
    return Math.max(child, FIXED_BYTES);
  return Math.max(child, measure.bytes);
}

/** `*`, `t.*`, `* EXCLUDE (…) REPLACE (…)` and `COLUMNS('pattern')`. */
function walkStar(node: Node, scope: Scope): number {
  only(node, "relation_name exclude_list qualified_exclude_list replace_list rename_list columns expr");
  let bytes = scope.bytes;
  for (const entry of nodes(node.replace_list))
    bytes = Math.max(bytes, walkExpression(entry.value as Node, scope));
  if (node.expr !== undefined) checkColumnsOf(node.expr as Node, scope);
  return bytes * timesOf(scope);
}

/** `COLUMNS('pattern')`, `COLUMNS(['a', 'b'])` and `COLUMNS(name -> …)`, which the planner runs for each name. */
function checkColumnsOf(expression: Node, scope: Scope): void {
  if (expression.class === "CONSTANT") {
    checkConstant(expression.value as Node);
    return;
  }
  const children =
    expression.class === "FUNCTION" || expression.class === "OPERATOR" ? nodes(expression.children) : [];
  // The parser turns a lambda into list_filter(*, lambda).
  if (
    lower(expression.function_name) === "list_filter" &&
    children[0]?.class === "STAR" &&
    children.length === 2
  ) {
    walkStar(children[0], scope);
    walkColumnsLambda(children[1]!, scope, walkExpression);
    return;
  }
  const isList = lower(expression.function_name) === "list_value" || expression.type === "ARRAY_CONSTRUCTOR";
  if (!isList || !children.every((child) => child.class === "CONSTANT"))
    throw forbidden("COLUMNS() takes a pattern in quotation marks, a list of names, or a lambda");
  for (const child of children) checkConstant(child.value as Node);
}

/** Whether an expression of a select list is repeated for each column, because it contains `*` or COLUMNS(). */
export function starsIn(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if ((value as Node).class === "STAR") return true;
  if ((value as Node).class === "SUBQUERY") return false;
  return Object.values(value).some(starsIn);
}

/** Checks a constant and returns its size. */
export function checkConstant(value: Node): number {
  if (typeof value !== "object" || value === null) throw unknown("a constant");
  onlyKeys(value, "type is_null value", "a constant");
  checkType(value.type as Node);
  const content = value.value;
  if (typeof content === "string") {
    if (content.length > TEXT_LENGTH_MAX)
      throw forbidden(`a text in the statement has more than ${TEXT_LENGTH_MAX} characters`);
    return Buffer.byteLength(content);
  }
  // NULL, or a constant of another type, may be a list. `+` must not count it as a number.
  return typeof content === "number" || typeof content === "boolean" ? FIXED_BYTES : SHORT_BYTES;
}

/** The bytes of the names of a type's fields. */
function fieldNames(type: Node): number {
  const info = type.type_info as Node | undefined;
  if (info === undefined) return 0;
  const fields = nodes(info.child_types);
  const own = fields.reduce((all, { first }) => all + Buffer.byteLength(String(first)), 0);
  const inner = [info.child_type, ...fields.map(({ second }) => second)].filter((each) => each !== undefined);
  return inner.reduce<number>((all, each) => all + fieldNames(each as Node), own);
}

const TYPE_INFO_KEYS = ["type", "alias", "width", "scale", "collation"];

function checkType(type: Node, depth = 0): void {
  if (typeof type !== "object" || type === null) throw unknown("a type");
  onlyKeys(type, "id type_info", "a type");
  const info = type.type_info as Node | undefined;
  if (type.id === "UNBOUND" && lower(info?.name) === "json" && otherKey(info!, "type name") === undefined)
    return;
  if (!TYPES.has(type.id) || depth > 4) {
    const name = (type.type_info as Node | undefined)?.name ?? type.id;
    throw forbidden(`the type ${quote(name)} is not allowed here`);
  }
  if (info === undefined) return;
  for (const key of Object.keys(info)) {
    if (key === "child_type") checkType(info.child_type as Node, depth + 1);
    else if (key === "child_types")
      for (const child of nodes(info.child_types)) checkType(child.second as Node, depth + 1);
    else if (!TYPE_INFO_KEYS.includes(key)) throw unknown(`the type ${String(type.id)}`);
  }
}
