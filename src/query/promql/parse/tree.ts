/** The syntax tree as the parse API returns it (https://prometheus.io/docs/prometheus/latest/querying/api/#parsing-a-promql-expressions-into-a-abstract-syntax-tree-ast). */
import type { Matcher } from "../matchers.ts";
import { formatDecimal } from "../promql-text.ts";
import type { DurationExpr, Expr, TimeShift } from "./ast.ts";
import { signatureOf } from "./functions.ts";

type Tree = { readonly [key: string]: unknown };

export function treeOf(expr: Expr): Tree {
  switch (expr.type) {
    case "numberLiteral":
      return { type: "numberLiteral", val: formatDecimal(expr.value) };
    case "stringLiteral":
      return { type: "stringLiteral", val: expr.value };
    case "vectorSelector":
      return { type: "vectorSelector", ...selected(expr.name, expr.matchers), ...shifted(expr) };
    case "matrixSelector": {
      const { name, matchers } = expr.selector;
      return {
        type: "matrixSelector",
        ...selected(name, matchers),
        range: expr.rangeMs,
        ...expression("rangeExpr", expr.rangeExpr),
        ...shifted(expr.selector),
      };
    }
    case "subquery":
      return {
        type: "subquery",
        expr: treeOf(expr.expr),
        range: expr.rangeMs,
        ...expression("rangeExpr", expr.rangeExpr),
        step: expr.stepMs ?? 0,
        ...expression("stepExpr", expr.stepExpr),
        ...shifted(expr),
      };
    case "unaryExpr":
      return { type: "unaryExpr", op: expr.op, expr: treeOf(expr.expr) };
    case "parenExpr":
      return { type: "parenExpr", expr: treeOf(expr.expr) };
    case "binaryExpr": {
      const { op, lhs, rhs, bool, matching } = expr;
      const { card, labels, on, include } = matching ?? {};
      return {
        type: "binaryExpr",
        op,
        lhs: treeOf(lhs),
        rhs: treeOf(rhs),
        matching: matching === undefined ? null : { card, labels, on, include },
        bool,
      };
    }
    case "aggregation": {
      const { op, param, grouping, without } = expr;
      return {
        type: "aggregation",
        op,
        expr: treeOf(expr.expr),
        param: param === undefined ? null : treeOf(param),
        grouping,
        without,
      };
    }
    case "call": {
      const signature = signatureOf(expr.name)!;
      return {
        type: "call",
        func: {
          name: expr.name,
          argTypes: signature.args,
          variadic: signature.optional,
          returnType: signature.returns,
        },
        args: expr.args.map(treeOf),
      };
    }
  }
}

function selected(name: string, matchers: readonly Matcher[]): Tree {
  return {
    name,
    matchers: matchers.map((each) => ({ name: each.name, value: each.value, type: each.operator })),
  };
}

function shifted({ offsetMs, offsetExpr, at }: TimeShift): Tree {
  const isTime = typeof at === "number";
  return {
    offset: offsetMs,
    ...expression("offsetExpr", offsetExpr),
    timestamp: isTime ? at : null,
    startOrEnd: isTime ? null : (at ?? null),
  };
}

function expression(name: string, expr: DurationExpr | undefined): Tree {
  return expr === undefined ? {} : { [name]: durationTree(expr, false) };
}

function durationTree(expr: DurationExpr, wrapped: boolean): Tree {
  switch (expr.type) {
    case "number":
      return { type: "numberLiteral", val: formatDecimal(expr.value), duration: expr.duration ?? false };
    case "paren":
      return durationTree(expr.expr, true);
    case "negated":
      return { type: "durationExpr", op: "-", lhs: null, rhs: durationTree(expr.expr, false), wrapped };
    case "step":
    case "range":
      return { type: "durationExpr", op: expr.type, lhs: null, rhs: null, wrapped };
    default: {
      const op = expr.type === "binary" ? expr.op : expr.type;
      return {
        type: "durationExpr",
        op,
        lhs: durationTree(expr.lhs, false),
        rhs: durationTree(expr.rhs, false),
        wrapped,
      };
    }
  }
}
