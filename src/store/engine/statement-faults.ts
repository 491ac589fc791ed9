/**
 * What the engine says about a statement that is at fault, in named parts. DuckDB reports it as text. The texts are
 * recognised here and in faults.ts, and nowhere else.
 */

/** The first line of an error and the candidates that it lists, as the engine wrote them. */
interface ErrorText {
  /** The first line, without the class of the error: `Referenced column "n" not found in FROM clause!`. */
  readonly sentence: string;
  /** The first line, and the line with the engine's own suggestions if there is one. */
  readonly summary: string;
}

/** One error of a statement. `kind` says which parts it has. */
export type StatementError = ErrorText &
  (
    | {
        /** A text cannot be cast to a type. `column` is the column with the text, if the engine names it. */
        readonly kind: "text is not of the type";
        readonly text: string;
        readonly type: string;
        readonly column: string | undefined;
      }
    | { readonly kind: "text is compared with a number" }
    | { readonly kind: "time is compared with a number" }
    | {
        /** No variant of the function has parameters of these types. */
        readonly kind: "no such variant of a function";
        readonly types: readonly string[];
        /** Whether a variant has a parameter that can be a text. Operators are not asked. */
        readonly takesText: boolean;
      }
    | { readonly kind: "map is used as a condition"; readonly column: string }
    | { readonly kind: "no such time zone"; readonly zone: string }
    | { readonly kind: "no such column"; readonly column: string }
    | {
        /** A macro of sql/query/macro_weir_*.sql found a value that is too large. `reason` is the macro's own. */
        readonly kind: "guarded";
        readonly reason: string;
      }
    | { readonly kind: "other" }
  );

/** The parts of an error of the engine. An error that is none of the known kinds is "other". */
export function statementErrorOf(error: Error): StatementError {
  const lines = error.message.split("\n");
  const line = lines[0]!;
  const suggestions = lines.slice(1).find((each) => SUGGESTIONS.test(each));
  const text = {
    sentence: line.replace(/^[A-Z][\w ]* Error: /, ""),
    summary: suggestions === undefined ? line : `${line} ${suggestions}`,
  };
  const guarded = /^Invalid Input Error: weir: (.*)/.exec(line);
  if (guarded !== null) return { ...text, kind: "guarded", reason: guarded[1]! };
  const conversion =
    /^Conversion Error: Could not convert string '(.*)' to (\w+)(?: when casting from source column (.+))?/.exec(
      line,
    );
  if (conversion !== null) {
    const [, value = "", type = "", column] = conversion;
    return { ...text, kind: "text is not of the type", text: value, type, column };
  }
  const mixed = /^Binder Error: Cannot (?:compare|mix) values of type (\w+) and (?:type )?(\w+)/.exec(line);
  if (mixed?.[1] === "VARCHAR" && NUMBER.test(mixed[2]!))
    return { ...text, kind: "text is compared with a number" };
  if (mixed?.[1] === "TIMESTAMP" && NUMBER.test(mixed[2]!))
    return { ...text, kind: "time is compared with a number" };
  const call = /^Binder Error: No function matches the given name and argument types '(.+)\((.*)\)'/.exec(
    line,
  );
  if (call !== null) {
    const [, name = "", types = ""] = call;
    const takesText = !/^\W+$/.test(name) && /^\t.*\(.*(?:VARCHAR|ANY|MAP)/m.test(error.message);
    return { ...text, kind: "no such variant of a function", types: types.split(", "), takesText };
  }
  const map =
    /^Conversion Error: Unimplemented type for cast \(MAP\(.*\) -> BOOLEAN\) when casting from source column (\w+)/.exec(
      line,
    )?.[1];
  if (map !== undefined) return { ...text, kind: "map is used as a condition", column: map };
  const zone = /^Not implemented Error: Unknown TimeZone '(.*)'!/.exec(line)?.[1];
  if (zone !== undefined) return { ...text, kind: "no such time zone", zone };
  const column =
    /^Binder Error: (?:Referenced column "(.+?)" not found|(?:Values list|Table) ".*?" does not have a column named "(.+?)")/.exec(
      line,
    );
  if (column !== null) return { ...text, kind: "no such column", column: (column[1] ?? column[2])! };
  return { ...text, kind: "other" };
}

const SUGGESTIONS = /^(?:Candidate bindings|Did you mean|Candidate functions)/;
/** `INTEGER_LITERAL`, `BIGINT`, `DECIMAL`, `DOUBLE` … */
const NUMBER = /INT|DECIMAL|DOUBLE/;

/** The answer of json_serialize_sql() to a text that it cannot serialize. */
export interface SerializeAnswer {
  readonly error: boolean;
  readonly error_type?: string;
  readonly error_message?: string;
  /** The byte of the text, in digits. */
  readonly position?: string;
}

/** Why a text has no syntax tree. */
export interface ParseFailure {
  /**
   * "not a select": it is a statement of another kind. "open pivot": a PIVOT in it does not list its values, which the
   * parser rejects if its source has a parameter. A PIVOT without a parameter is "not a select" as well as open.
   */
  readonly kind: "not a select" | "open pivot" | "syntax";
  /** The first line of the parser's message. */
  readonly sentence: string;
  /** The byte of the text at which it fails, if the parser says so. */
  readonly position: number | undefined;
}

/** Why json_serialize_sql() failed; undefined if it did not. */
export function parseFailureOf(answer: SerializeAnswer): ParseFailure | undefined {
  if (!answer.error) return undefined;
  const message = answer.error_message ?? "";
  const position = Number(answer.position);
  return {
    kind: message.startsWith("PIVOT statements with")
      ? "open pivot"
      : answer.error_type === "not implemented" && message.startsWith("Only SELECT")
        ? "not a select"
        : "syntax",
    sentence: message.split("\n")[0]!,
    position: Number.isInteger(position) ? position : undefined,
  };
}
