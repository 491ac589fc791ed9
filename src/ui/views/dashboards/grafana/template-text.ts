/** Variables in the texts of a dashboard: `$name`, `${name:format}`, `[[name]]`. Pure. */

/** What a variable stands for in the panels of a dashboard. */
export interface VariableValue {
  /** The chosen values. More than one only if several may be chosen. */
  readonly values: readonly string[];
  /** What people see of them. */
  readonly texts: readonly string[];
  /** Stands for all values as it is, such as `.*`, if all are chosen. */
  readonly allValue?: string;
  /** Whether several values may be chosen, so that the text is a pattern. */
  readonly isPattern: boolean;
}

export type VariableValues = ReadonlyMap<string, VariableValue>;

/** How a variable is written if its text says nothing. */
export type TextUse = "promql" | "sql" | "text";

const REFERENCE = /\$(\w+)|\$\{(\w+)(?:\.([^:}]+))?(?::([^}]+))?\}|\[\[(\w+)(?::(\w+))?\]\]/g;

/** The names of the variables in a text, without those that Grafana itself defines. */
export function variablesIn(text: string): string[] {
  return [...text.matchAll(REFERENCE)]
    .map(([, plain, braced, , , old]) => (plain ?? braced ?? old)!)
    .filter((name) => !name.startsWith("__"));
}

/** A text with the values of its variables. Unknown names stay as they are. */
export function filled(text: string, values: VariableValues, use: TextUse): string {
  return text.replaceAll(
    REFERENCE,
    (
      reference,
      plain?: string,
      braced?: string,
      _field?: string,
      format?: string,
      old?: string,
      oldFormat?: string,
    ) => {
      const found = values.get((plain ?? braced ?? old)!);
      return found === undefined ? reference : written(found, format ?? oldFormat, use);
    },
  );
}

function written(variable: VariableValue, format: string | undefined, use: TextUse): string {
  const { values, texts, allValue, isPattern } = variable;
  if (format === "text") return texts.join(" + ");
  // Grafana writes it as it is, in each format.
  if (allValue !== undefined) return allValue;
  const [first = ""] = values;
  if (format?.startsWith("date")) {
    const ms = Number(first);
    return format === "date:seconds" ? String(Math.floor(ms / 1_000)) : new Date(ms).toISOString();
  }
  switch (format ?? use) {
    case "promql": {
      if (!isPattern) return escapedText(first);
      const patterns = values.map(escapedPattern);
      return patterns.length === 1 ? patterns[0]! : `(${patterns.join("|")})`;
    }
    case "sql":
    case "sqlstring":
      return values.map((value) => `'${value.replaceAll("'", "''")}'`).join(",");
    case "singlequote":
      return values.map((value) => `'${value.replaceAll("'", "\\'")}'`).join(",");
    case "doublequote":
      return values.map((value) => `"${value.replaceAll('"', '\\"')}"`).join(",");
    case "regex": {
      const patterns = values.map((value) => value.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
      return patterns.length === 1 ? patterns[0]! : `(${patterns.join("|")})`;
    }
    case "pipe":
      return values.join("|");
    case "json":
      return JSON.stringify(values.length === 1 ? first : values);
    case "percentencode":
      return encodeURIComponent(values.length === 1 ? first : `{${values.join(",")}}`);
    case "glob":
      return values.length === 1 ? first : `{${values.join(",")}}`;
    case "text":
      return texts.join(" + ");
    default:
      return values.join(",");
  }
}

/** Within the quotation marks of PromQL. */
function escapedText(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}

/** A value as a part of a pattern within the quotation marks of PromQL. */
function escapedPattern(value: string): string {
  return value
    .replaceAll("\\", "\\\\\\\\")
    .replaceAll('"', '\\"')
    .replaceAll(/[$^*{}[\]+?.()|]/g, "\\\\$&");
}

/** A value that is written as it is. */
export function fixedValue(text: string): VariableValue {
  return { values: [text], texts: [text], isPattern: false };
}
