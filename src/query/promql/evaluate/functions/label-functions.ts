/** label_replace() and label_join(). */
import { ExecutionError } from "../../query-errors.ts";
import { isLabelName } from "../../labels.ts";
import { compileAnchored } from "../../matchers.ts";
import { quoteText } from "../../promql-text.ts";
import type { Matrix } from "../matrix.ts";

interface Replacement {
  readonly target: string;
  readonly replacement: string;
  readonly source: string;
  readonly expression: string;
}

/** Sets a label to the replacement if the whole source value matches; otherwise leaves the series unchanged. */
export function labelReplace(
  matrix: Matrix,
  { target, replacement, source, expression }: Replacement,
): Matrix {
  let compiled: ReturnType<typeof compileAnchored>;
  try {
    compiled = compileAnchored(expression);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ExecutionError(
      `invalid regular expression in label_replace(): ${quoteText(expression)}: ${why}`,
    );
  }
  if (!isLabelName(target)) {
    throw new ExecutionError(`invalid destination label name in label_replace(): ${quoteText(target)}`);
  }
  const groupNames = compiled.namedGroups();
  const known = new Map<string, string | undefined>();
  const replaced = (value: string): string | undefined => {
    if (known.has(value)) return known.get(value);
    const found = compiled.matcher(value);
    const result = found.find()
      ? expandTemplate(replacement, (name) => {
          const index = /^\d+$/.test(name) ? Number(name) : groupNames[name];
          return index === undefined || index > found.groupCount() ? "" : (found.group(index) ?? "");
        })
      : undefined;
    known.set(value, result);
    return result;
  };
  for (let row = 0; row < matrix.rows; row++) {
    const value = replaced(matrix.labels[row].get(source));
    if (value !== undefined) setLabel(matrix, row, target, value);
  }
  return matrix.merged();
}

/** Replaces `$1`, `$name` and `${name}`; `$$` is a dollar sign, and so is one that begins no reference. */
function expandTemplate(template: string, groupOf: (name: string) => string): string {
  return template.replace(/\$(?:(\$)|\{(\w+)\}|(\w+))/g, (_, dollar, braced, bare) =>
    dollar !== undefined ? "$" : groupOf(braced ?? bare),
  );
}

interface Joining {
  readonly target: string;
  readonly separator: string;
  readonly sources: readonly string[];
}

export function labelJoin(matrix: Matrix, { target, separator, sources }: Joining): Matrix {
  for (const source of sources) {
    if (!isLabelName(source)) {
      throw new ExecutionError(`invalid source label name in label_join(): ${quoteText(source)}`);
    }
  }
  if (!isLabelName(target)) {
    throw new ExecutionError(`invalid destination label name in label_join(): ${quoteText(target)}`);
  }
  for (let row = 0; row < matrix.rows; row++) {
    const values = sources.map((source) => matrix.labels[row].get(source));
    setLabel(matrix, row, target, values.join(separator));
  }
  return matrix.merged();
}

function setLabel(matrix: Matrix, row: number, name: string, value: string): void {
  if (value.includes("\u0000"))
    throw new ExecutionError(`a label value must not contain U+0000, as that of ${name} would`);
  matrix.labels[row] = matrix.labels[row].with(name, value);
}
