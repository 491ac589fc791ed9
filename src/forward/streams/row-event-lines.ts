/**
 * Rows as JSON events, in the shape in which they are pushed and exported (src/query/export-lines.ts), with the labels that a
 * destination has: matchers, added labels and relabelling see the name of the metric as it was pushed.
 */
import type { Destination } from "../../model/forwarding/destination.ts";
import type { RowRange } from "../../model/records.ts";
import type { Series } from "../../model/sample.ts";
import { prometheusName } from "../../model/names.ts";
import { attributeColumns, EventWriter } from "../../query/export-lines.ts";
import { statement } from "../../store/statements.ts";
import type { Day } from "../../store/store.ts";
import type { ForwardStore } from "../outbox/stored-rows-reader.ts";
import type { DestinationStatus } from "../sending/destination-status.ts";
import { labelChange } from "../remote-write/output-series.ts";

interface EventLinesParts {
  readonly store: ForwardStore;
  readonly seriesById: (seriesId: number) => Series | undefined;
  readonly isAttribute: (metric: string, tag: string) => boolean;
  readonly destination: Pick<Destination, "matchers" | "relabel" | "labels">;
  /** Rows of a day that is being dropped have no series any more. */
  readonly status: Pick<DestinationStatus, "dropped">;
  /** For other programs: the shape of the metric files of workers, without what only a gateway needs. */
  readonly isPlain?: boolean;
}

/** Series that are remembered. */
const SERIES_MAX = 200_000;

export class EventLines {
  readonly #parts: EventLinesParts;
  readonly #change: ReturnType<typeof labelChange>;
  readonly #series = new Map<number, Series | undefined>();
  readonly #writer: EventWriter;

  constructor(parts: EventLinesParts) {
    this.#parts = parts;
    this.#change = labelChange(parts.destination);
    this.#writer = new EventWriter((id) => this.#seriesOf(id), parts.isAttribute, parts.isPlain);
  }

  /** The lines of some rows, each with its line feed, and their number. */
  async of(day: Day, [from, to]: RowRange): Promise<{ readonly text: string; readonly lines: number }> {
    const reader = await this.#parts.store.reader();
    try {
      // A day may have new columns since the caller looked.
      const { table, attributes } = this.#parts.store.days().find((each) => each.day === day.day) ?? day;
      const result = await reader.stream(statement("forward/events", { table }), [from, to]);
      const columns = attributeColumns(
        result.columns.map(({ name }) => name),
        new Map(attributes.map(({ name, column }) => [column, name])),
      );
      let text = "";
      let lines = 0;
      for await (const chunk of result.chunks()) {
        const known = chunk.filter((row) => this.#parts.seriesById(row[0] as number) !== undefined);
        this.#parts.status.dropped("retention", chunk.length - known.length);
        const rows = known.filter((row) => this.#seriesOf(row[0] as number) !== undefined);
        text += this.#writer.lines(rows, columns);
        lines += rows.length;
      }
      return { text, lines };
    } finally {
      reader.close();
    }
  }

  /** The series as the destination gets it. Undefined if it does not. */
  #seriesOf(seriesId: number): Series | undefined {
    const known = this.#series.get(seriesId);
    if (known !== undefined || this.#series.has(seriesId)) return known;
    if (this.#series.size >= SERIES_MAX) this.#series.clear();
    const series = this.#parts.seriesById(seriesId);
    const sent = series === undefined ? undefined : this.#changed(series);
    this.#series.set(seriesId, sent);
    return sent;
  }

  #changed(series: Series): Series | undefined {
    const { metric } = series;
    const changed = this.#change(new Map([["__name__", metric.name], ...series.labels]));
    if (changed === undefined) return undefined;
    const name = changed.get("__name__")!;
    const labels = new Map(
      [...changed].filter(([label]) => label !== "__name__").sort(([a], [b]) => (a < b ? -1 : 1)),
    );
    return {
      ...series,
      labels,
      metric: name === metric.name ? metric : { ...metric, name, prometheusName: prometheusName(name) },
    };
  }
}
