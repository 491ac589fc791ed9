/** What the query of a push of columns says about all of its rows: `?metric=NAME&type=gauge&unit=ms&help=TEXT`. */
import { wrongParameter } from "../../../http/parameters.ts";
import { BadInput } from "../../../model/errors.ts";
import { HELP_CHARACTERS_MAX } from "../../../model/sample.ts";
import { KINDS } from "../event.ts";

export const COLUMN_PARAMETERS = ["metric", "type", "unit", "help"] as const;

export interface ColumnParameters {
  readonly metric?: string;
  /** `observation` if absent. */
  readonly type?: string;
  readonly unit?: string;
  readonly help?: string;
  /** Rejects a row if a part of it would not be stored as it was sent. */
  readonly strict: boolean;
}

/**
 * Reads the parameters. Undefined if the query has none of them.
 *
 * @throws BadInput that names the parameter
 */
export function readColumnParameters(query: string): Omit<ColumnParameters, "strict"> | undefined {
  // Most pushes have no query.
  if (query === "") return undefined;
  const search = new URLSearchParams(query);
  const found: { -readonly [Name in (typeof COLUMN_PARAMETERS)[number]]?: string } = {};
  let isFound = false;
  for (const name of COLUMN_PARAMETERS) {
    const [text, second] = search.getAll(name);
    if (second !== undefined)
      throw new BadInput(`Query parameter ${name} appears twice, expected once.`, name);
    if (text === undefined) continue;
    found[name] = text;
    isFound = true;
  }
  const { metric, type, unit, help } = found;
  if (metric === "") throw wrongParameter("metric", metric, "a name");
  if (type !== undefined && !Object.hasOwn(KINDS, type))
    throw wrongParameter("type", type, "observation, counter, gauge or cumulative");
  for (const [name, text] of Object.entries({ unit, help }))
    if (text !== undefined && text.length > HELP_CHARACTERS_MAX)
      throw wrongParameter(name, text, `at most ${HELP_CHARACTERS_MAX} characters`);
  return isFound ? found : undefined;
}
