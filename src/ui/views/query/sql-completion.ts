/** What the editor of SQL completes, from the gateway: tables with their metrics, columns with their types, functions. */
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { DUCKDB } from "./duckdb-dialect.ts";
import type { Extension } from "@codemirror/state";
import { askJson } from "../../api/gateway-api.ts";

export interface SqlTable {
  readonly table: string;
  readonly metric?: string;
  readonly kind?: string;
  readonly unit?: string;
  readonly help?: string;
  readonly columns: readonly { readonly name: string; readonly type: string; readonly source?: string }[];
  readonly rows: number;
}

const plainName = /^[a-z_][a-z0-9_]*$/;
const quoted = (name: string) => (plainName.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

/** Tables after FROM and JOIN. Elsewhere the columns of the tables of the statement, and functions. */
export function sqlSchema(): Extension {
  let tables: Promise<readonly SqlTable[]> | undefined;
  let functions: Promise<readonly string[]> | undefined;
  const complete = async (context: CompletionContext): Promise<CompletionResult | null> => {
    const word = context.matchBefore(/[\w"]+/);
    if (word === null && !context.explicit) return null;
    tables ??= askJson<{ tables: SqlTable[] }>("/api/v1/tables").then(
      ({ tables: all }) => all,
      () => [],
    );
    functions ??= askJson<{ functions: { name: string }[] }>("/api/v1/sql/functions").then(
      ({ functions: all }) => [...new Set(all.map(({ name }) => name))],
      () => [],
    );
    const known = await tables;
    const from = word?.from ?? context.pos;
    const before = context.state.sliceDoc(0, from);
    if (/\b(?:from|join)\s+$/i.test(before))
      return { from, options: known.map(tableOption), validFor: /^[\w"]*$/ };
    const text = context.state.doc.toString().toLowerCase();
    const used = known.filter(({ table }) => text.includes(table.toLowerCase()));
    const columns = new Map<string, Completion>();
    for (const table of used.length === 0 ? known.slice(0, 1) : used)
      for (const { name, type, source } of table.columns)
        columns.set(name, {
          label: quoted(name),
          type: "property",
          detail: type,
          info: source === undefined ? undefined : `a ${source} of ${table.metric ?? table.table}`,
          boost: 2,
        });
    const calls = (await functions).map(
      (name): Completion => ({ label: name, type: "function", apply: `${name}(` }),
    );
    return {
      from,
      options: [...columns.values(), ...known.map(tableOption), ...calls],
      validFor: /^[\w"]*$/,
    };
  };
  return DUCKDB.language.data.of({ autocomplete: complete });
}

function tableOption({ table, metric, kind, unit, help, rows }: SqlTable): Completion {
  const about = [metric, unit, help, `${rows} rows`].filter(Boolean).join(" · ");
  return { label: quoted(table), type: "class", detail: kind, info: about };
}
