/** The list of the functions that SQL may call, for `GET /api/v1/sql/functions`. */

import { allowedFunctions, type FunctionKind } from "../sandbox/allowed-functions.ts";
import type { QueryResult } from "./sql-engine.ts";
import { givenRows, matcher } from "./table-list.ts";

interface ListedFunction {
  readonly name: string;
  readonly kind: FunctionKind;
  /** Its limits, in words; absent if only the limits of every query apply. */
  readonly bounds?: string;
}

/**
 * The functions whose name matches `pattern` (see `listTables`), in the order of kind and name. All if it is absent.
 */
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
