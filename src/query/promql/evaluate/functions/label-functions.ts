/** label_replace() and label_join(). */
import { ExecutionError, LimitReached } from "../../query-errors.ts";
import { isLabelName } from "../../labels.ts";
import { compileAnchored } from "../../matchers.ts";
import { quoteText } from "../../promql-text.ts";
import type { Matrix } from "../matrix.ts";

/** The time of a match grows with the groups, which are looked for at each character. Nobody refers to so many. */
const GROUPS_MAX = 100;
/** A label value that was pushed has a thousandth of it. */
const VALUE_LENGTH_MAX = 1_048_576;

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
  if (compiled.groupCount() > GROUPS_MAX) {
    throw new LimitReached(
      `the regular expression in label_replace() has ${compiled.groupCount()} groups, at most ${GROUPS_MAX} are ` +
        "accepted: use fewer, or (?:…) for groups that are not referred to",
    );
  }
  const references = replacement.split("$").length - 1;
  const groupNames = compiled.namedGroups();
  const known = new Map<string, string | undefined>();
  const replaced = (value: string): string | undefined => {
    if (known.has(value)) return known.get(value);
    // Each reference is at most the whole value. Checked before any of it is copied.
    checkLength(target, replacement.length + references * value.length);
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
    const separators = separator.length * Math.max(0, values.length - 1);
    checkLength(
      target,
      values.reduce((sum, { length }) => sum + length, separators),
    );
    setLabel(matrix, row, target, values.join(separator));
  }
  return matrix.merged();
}

function setLabel(matrix: Matrix, row: number, name: string, value: string): void {
  if (value.includes("\u0000"))
    throw new ExecutionError(`a label value must not contain U+0000, as that of ${name} would`);
  matrix.setLabel(row, name, value);
}

/** @throws LimitReached if a label value would have too many characters */
function checkLength(name: string, length: number): void {
  if (length <= VALUE_LENGTH_MAX) return;
  throw new LimitReached(
    `the value of the label ${quoteText(name)} would have more than ${VALUE_LENGTH_MAX} characters: make it shorter`,
  );
}
