/** Joins the answers of several gateways into one. Each series and each row says which gateway it is of. Pure. */
import type { Cell, ResultColumn } from "../../store/store.ts";

type Point = readonly [seconds: number, value: string];

export interface PromqlSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: Point;
  readonly values?: readonly Point[];
}

/** An answer of Prometheus's API to a query. */
export interface PromqlAnswerJson {
  readonly data:
    | { readonly resultType: "scalar"; readonly result: Point }
    | { readonly resultType: "string"; readonly result: Point }
    | { readonly resultType: "vector"; readonly result: readonly PromqlSeries[] }
    | { readonly resultType: "matrix"; readonly result: readonly PromqlSeries[] };
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

/** What a gateway answered, or why it did not. */
export type PeerAnswer<Answer> = {
  /** Its name in results, and its address without secrets. */
  readonly peer: { readonly name: string; readonly url: string };
} & ({ readonly answer: Answer; readonly error?: undefined } | { readonly error: string });

/** What a gateway did, for answers in JSON. */
export interface PeerReport {
  readonly gateway: string;
  readonly url: string;
  readonly status: "ok" | "failed";
  readonly error?: string;
}

export function reportsOf(answers: readonly PeerAnswer<unknown>[]): PeerReport[] {
  return answers.map(({ peer: { name, url }, error }) =>
    error === undefined
      ? { gateway: name, url, status: "ok" }
      : { gateway: name, url, status: "failed", error },
  );
}

/** One sentence for each gateway that failed. */
export function failuresOf(answers: readonly PeerAnswer<unknown>[]): string[] {
  return answers.flatMap(({ peer: { name, url }, error }) =>
    error === undefined ? [] : [`${name} (${url}) is missing: ${error}`],
  );
}

/** An answer of Prometheus's API for all gateways, with what each of them did. */
export interface FleetSeries extends PromqlAnswerJson {
  readonly status: "success";
  readonly data: { readonly resultType: "matrix" | "vector"; readonly result: readonly PromqlSeries[] };
  readonly peers: readonly PeerReport[];
}

/**
 * The series of all gateways, each with a label that names its gateway. A series that has this label already keeps it as
 * `exported_LABEL`, or with one more `exported_` if that is taken, as in a scrape. A scalar is a series without other labels.
 */
export function joinSeries(
  answers: readonly PeerAnswer<PromqlAnswerJson>[],
  label: string,
  isRange: boolean,
): FleetSeries {
  const result = answers.flatMap(({ peer, ...each }): PromqlSeries[] =>
    each.error === undefined
      ? seriesOf(each.answer).map((series) => ({
          ...series,
          metric: labelled(series.metric, label, peer.name),
        }))
      : [],
  );
  const notes = (kind: "warnings" | "infos") =>
    answers.flatMap(({ peer, ...each }) =>
      each.error === undefined ? (each.answer[kind] ?? []).map((note) => `${peer.name}: ${note}`) : [],
    );
  const warnings = [...failuresOf(answers), ...notes("warnings")];
  const infos = notes("infos");
  // Samples of a range at one time are a matrix too.
  const isMatrix = isRange || result.some(({ values }) => values !== undefined);
  return {
    status: "success",
    data: { resultType: isMatrix ? "matrix" : "vector", result },
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(infos.length > 0 ? { infos } : {}),
    peers: reportsOf(answers),
  };
}

function seriesOf({ data }: PromqlAnswerJson): readonly PromqlSeries[] {
  if (data.resultType === "scalar" || data.resultType === "string")
    return [{ metric: {}, value: data.result }];
  return data.result;
}

function labelled(
  metric: Readonly<Record<string, string>>,
  label: string,
  name: string,
): Record<string, string> {
  const { [label]: own, ...others } = metric;
  let exported = `exported_${label}`;
  while (exported in others) exported = `exported_${exported}`;
  return { ...others, ...(own === undefined ? {} : { [exported]: own }), [label]: name };
}

/** An answer of the SQL API in JSON. */
export interface SqlAnswerJson {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  readonly truncated: boolean;
}

export interface FleetRows {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly Cell[])[];
  readonly truncated: boolean;
}

/**
 * The rows of all gateways. The first column names the gateway. Columns are those of all answers; a gateway without one has
 * NULL there.
 */
export function joinRows(answers: readonly PeerAnswer<SqlAnswerJson>[], label: string): FleetRows {
  const answered = answers.flatMap(({ peer, ...each }) =>
    each.error === undefined ? [{ name: peer.name, answer: each.answer }] : [],
  );
  const columns = new Map<string, ResultColumn>();
  for (const { answer } of answered)
    for (const column of answer.columns) {
      const known = columns.get(column.name);
      // The cells of both are printed as they are.
      const type = known === undefined || known.type === column.type ? column.type : "VARCHAR";
      columns.set(column.name, { ...column, type });
    }
  let own = label;
  while (columns.has(own)) own = `fleet_${own}`;
  const names = [...columns.keys()];
  return {
    columns: [{ name: own, type: "VARCHAR" }, ...columns.values()],
    rows: answered.flatMap(({ name, answer }) =>
      answer.rows.map((row) => [name, ...names.map((column) => row[column] ?? null)]),
    ),
    truncated: answered.some(({ answer }) => answer.truncated),
  };
}
