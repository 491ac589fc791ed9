/**
 * The walk over calls that take a lambda. The engine evaluates a lambda for every element of every list of a vector
 * before it checks for an interrupt. So the cost of a lambda must be linear: its values are counted for all elements of
 * the list together, and it cannot contain a second lambda.
 */
import { FIXED_BYTES } from "./sizes.ts";
import { forbidden, lower, make, type Node, nodes, only, reducesByJoining, type Scope } from "./walk.ts";

type WalkExpression = (node: Node, scope: Scope) => number;

/** Walks `list_transform(list, x -> …)` or a similar call, and returns the size of the result. */
export function walkLambdaCall(
  becomes: "transform" | "filter" | "reduce",
  children: readonly Node[],
  scope: Scope,
  walkExpression: WalkExpression,
): number {
  if (scope.lambda !== undefined) throw forbidden("a lambda cannot contain a second lambda");
  const [list, lambda, initial] = children;
  if (list === undefined || lambda?.class !== "LAMBDA")
    throw forbidden("a list function takes a list and a lambda, such as x -> x + 1");
  only(lambda, "lhs expr");
  // Each element takes at least 16 bytes of its list.
  const times = Math.max(1, Math.ceil(walkExpression(list, scope) / FIXED_BYTES));
  // One byte more than that many numbers, because an element may also be a list, which `+` joins.
  const bytes = times * FIXED_BYTES + 1;
  const names = parametersOf(lambda.lhs as Node);
  const body = (sizes: readonly number[]) =>
    walkExpression(lambda.expr as Node, {
      ...scope,
      lambda: {
        times,
        parameters: new Map(names.map((name, index) => [name, sizes[index] ?? FIXED_BYTES * times])),
        isReducing: becomes === "reduce",
      },
    });
  if (becomes === "transform") return make("a list", Math.max(body([bytes]), FIXED_BYTES * times), scope);
  if (becomes === "filter") {
    body([bytes]);
    return make("a list", bytes, scope);
  }
  const first = initial === undefined ? 0 : walkExpression(initial, scope);
  const soFar = Math.max(bytes, first);
  if (body([soFar, bytes]) > soFar) throw reducesByJoining();
  scope.walk.isRewritten = true;
  scope.walk.macros.add("weir_reduced");
  return make("list_reduce()", soFar, scope);
}

/** Walks the lambda of `COLUMNS(name -> …)`, which runs once for each column. */
export function walkColumnsLambda(lambda: Node, scope: Scope, walkExpression: WalkExpression): void {
  if (scope.lambda !== undefined) throw forbidden("a lambda cannot contain a second lambda");
  if (lambda.class !== "LAMBDA") throw forbidden("COLUMNS() takes a lambda, such as c -> c LIKE 's%'");
  only(lambda, "lhs expr");
  const times = Math.max(1, scope.columns);
  const parameters = new Map(
    parametersOf(lambda.lhs as Node).map((name) => [name, COLUMN_NAME_BYTES * times]),
  );
  walkExpression(lambda.expr as Node, { ...scope, lambda: { times, parameters, isReducing: false } });
}

/** The maximum length of a tag's name. */
const COLUMN_NAME_BYTES = 256;

/** The names of `x` or `(x, index)`, which the parser returns as a column or as a row of columns. */
function parametersOf(left: Node): string[] {
  const columns = left.class === "FUNCTION" && left.function_name === "row" ? nodes(left.children) : [left];
  return columns.map((column) => {
    const names = column.column_names as readonly unknown[] | undefined;
    if (column.class !== "COLUMN_REF" || names?.length !== 1)
      throw forbidden("the parameters of a lambda are names");
    return lower(names[0]);
  });
}
