/** The list of the functions that SQL may call, as people ask for it. */

import { allowedFunctions, type FunctionKind } from "../sandbox/functions.ts";
import { givenRows } from "./given-rows.ts";
import type { QueryResult } from "./sql.ts";
import { matcher } from "./table-list.ts";

export interface ListedFunction {
  readonly name: string;
  readonly kind: FunctionKind;
  /** What it takes at most; absent where only the limits of every query hold. */
  readonly bounds?: string;
}

/** The functions whose name matches `pattern` (see `listTables`), all if it is absent, by kind and name. */
export function listFunctions(pattern?: string): ListedFunction[] {
  const matches = matcher(pattern);
  return allowedFunctions()
    .filter(({ name }) => matches(name))
    .map(({ name, kind, bounds }) => ({ name, kind, bounds }));
}

/** The list as rows, for the formats of SQL. */
export function functionRows(functions: readonly ListedFunction[]): QueryResult {
  return givenRows(
    ["name", "kind", "bounds"].map((name) => ({ name, type: "VARCHAR" })),
    functions.map(({ name, kind, bounds }) => [name, kind, bounds ?? null]),
  );
}
