/**
 * Look-ups of series, labels and metadata over the store, archived days and the upstream. Series of archived days are read if a
 * look-up has days that are not here. The upstream is asked if it finds nothing, or begins before the first stored day. If one of them
 * does not answer, the result has what the others have, and a warning. Metadata are those of the store and of the upstream. A warning
 * says so if there is an archive.
 */
import { DAY_MS } from "../../model/duration.ts";
import { prometheusLabelName } from "../../model/names.ts";
import type { Labels } from "../../model/sample.ts";
import { sorting } from "../../model/tasks/sorting.ts";
import { inSlices } from "../../model/tasks/time-slices.ts";
import type { ArchiveQuery } from "../promql/archived/archive-query.ts";
import { ArchiveAway } from "../promql/archived/promql-archive.ts";
import type { SeriesRegistry } from "../promql/catalog/catalog.ts";
import { daysOf, Discovery, type LabelQuery, type MetadataEntry } from "../promql/catalog/discovery.ts";
import { Slices } from "../promql/catalog/slices.ts";
import { compareLabels, compareText, LabelSet } from "../promql/labels.ts";
import { tooManySeries } from "../promql/query-errors.ts";
import type { SelectorUse } from "../promql/worker/selector-reader.ts";
import { formRequest, seconds, selectorText } from "./sample-requests.ts";
import type { UpstreamMatcher } from "./upstream-messages.ts";
import { mentions, strippedLabels } from "./upstream-series.ts";
import type { UpstreamServer } from "./upstream-server.ts";

/** What was found, and why a part of it may be missing. */
export interface LookedUp<Found> {
  readonly found: Found;
  readonly warnings: readonly string[];
}

export interface LookUpOptions {
  readonly discovery: Pick<Discovery, "series" | "labelNames" | "labelValues" | "metadata">;
  readonly selectors: SelectorUse;
  /** The stored days, in ascending order. */
  readonly days: () => readonly { readonly day: number; readonly isPartial?: true | undefined }[];
  readonly promqlSeriesMax: number;
  readonly now: () => number;
  readonly upstream?: UpstreamServer;
  readonly registry: SeriesRegistry;
  /** What a look-up of a caller reads of an archive. Undefined if there is none to read. */
  readonly archived?: (labels: Labels | undefined) => ArchiveQuery | undefined;
}

/** What was found in archived days. Absent if none were read. */
interface Archived<Found> {
  readonly found?: Found;
  readonly warnings: readonly string[];
}

/** What is asked of the upstream. */
interface Question {
  readonly selectors: readonly (readonly UpstreamMatcher[])[];
  /** Whether only series of this gateway are asked for. */
  readonly isOwn: boolean;
  readonly answer: { readonly data: unknown } | { readonly failure: string };
}

/** An answer is parsed on the thread that accepts pushes: 20 ms. */
const ANSWER_BYTES_MAX = 2 * 1_048_576;

export class JoinedLookUps {
  readonly #options: LookUpOptions;

  constructor(options: LookUpOptions) {
    this.#options = options;
  }

  /** As `series` of Discovery. */
  async series(query: LabelQuery): Promise<LookedUp<readonly LabelSet[]>> {
    const here = await this.#options.discovery.series(query);
    const archived = await this.#archived(query, (each) => each.series(query));
    const { promqlSeriesMax } = this.#options;
    const found = new Map([...here, ...(archived.found ?? [])].map((labels) => [labels.key, labels]));
    if (found.size > promqlSeriesMax) throw tooManySeries(promqlSeriesMax);
    const asked = await this.#ask(query, found.size > 0, "/api/v1/series");
    if (asked === undefined) {
      const isHere = archived.found === undefined;
      const all = isHere ? here : await inSlices(sorting([...found.values()], compareLabels));
      return { found: all, warnings: archived.warnings };
    }
    const { rows, warnings } = listed<Readonly<Record<string, string>>>(asked, isLabels);
    const external = this.#external;
    const slices = new Slices(query.signal);
    for (const labels of rows) {
      const set = LabelSet.from(Object.entries(labels));
      const own = strippedLabels(set, external, (name) =>
        asked.selectors.some((each) => mentions(each, name)),
      );
      found.set(own.key, own);
      if (found.size > promqlSeriesMax) throw tooManySeries(promqlSeriesMax);
      if (slices.isDue) await slices.pause();
    }
    const all = await inSlices(sorting([...found.values()], compareLabels));
    return { found: all, warnings: [...archived.warnings, ...warnings] };
  }

  /** As `labelNames` of Discovery. */
  async labelNames(query: LabelQuery): Promise<LookedUp<readonly string[]>> {
    const stored = await this.#options.discovery.labelNames(query);
    const archived = await this.#archived(query, (each) => each.labelNames(query));
    const isHere = stored.length > 0 || (archived.found ?? []).length > 0;
    const asked = await this.#ask(query, isHere, "/api/v1/labels");
    // The series of this gateway are listed without them.
    const hidden = asked?.isOwn
      ? this.#external
          .map(([name]) => name)
          .filter((name) => !asked.selectors.some((each) => mentions(each, name)))
      : [];
    return await this.#names(stored, archived, asked, new Set(hidden));
  }

  /** As `labelValues` of Discovery. */
  async labelValues(name: string, query: LabelQuery): Promise<LookedUp<readonly string[]>> {
    const stored = await this.#options.discovery.labelValues(name, query);
    const archived = await this.#archived(query, (each) => each.labelValues(name, query));
    const label = prometheusLabelName(name);
    // The values of a label that tells gateways apart are those of all gateways.
    const isFound = stored.length > 0 || (archived.found ?? []).length > 0;
    const isHere = isFound && !this.#external.some(([own]) => own === label);
    const path = `/api/v1/label/${encodeURIComponent(label)}/values`;
    return await this.#names(stored, archived, await this.#ask(query, isHere, path));
  }

  /** As `metadata` of Discovery. What the upstream knows is not limited to some labels, so a caller with labels gets none. */
  async metadata(
    metric: string | undefined,
    labels: Labels | undefined,
    signal: AbortSignal,
  ): Promise<LookedUp<ReadonlyMap<string, readonly MetadataEntry[]>>> {
    const { discovery, upstream } = this.#options;
    const stored = await discovery.metadata(metric, labels);
    const isFound = metric !== undefined && stored.size > 0;
    const hasArchive = this.#options.archived?.(labels) !== undefined;
    const warnings = hasArchive && !isFound ? ["metadata have nothing of archived days"] : [];
    if (upstream === undefined || labels !== undefined || isFound) return { found: stored, warnings };
    const parameters = metric === undefined ? "" : `?${new URLSearchParams({ metric })}`;
    const request = { path: `/api/v1/metadata${parameters}`, headers: {}, body: "" };
    const answer = await upstream.data(request, signal, ANSWER_BYTES_MAX);
    if ("failure" in answer) return { found: stored, warnings: [...warnings, warningOf(answer.failure)] };
    const found = new Map<string, readonly MetadataEntry[]>(stored);
    for (const [name, entries] of Object.entries(answer.data ?? {}))
      if (!found.has(name) && Array.isArray(entries)) found.set(name, entries.filter(isMetadata));
    return { found, warnings };
  }

  /** Looks up in the archived days of a query that are not here. */
  async #archived<Found>(
    query: LabelQuery,
    lookUp: (discovery: Discovery) => Promise<Found>,
  ): Promise<Archived<Found>> {
    const { archived, selectors: use, registry, promqlSeriesMax, days } = this.#options;
    const [firstDay, lastDay] = daysOf(query);
    const stored = days();
    const isHere = (day: number) => stored.some((each) => each.day === day && each.isPartial !== true);
    // Not of an infinite range.
    if (lastDay - firstDay < stored.length && isAll(firstDay, lastDay, isHere)) return { warnings: [] };
    const reading = archived?.(query.labels);
    if (reading === undefined) return { warnings: [] };
    try {
      const opened = await reading.open(firstDay, lastDay);
      if ("failure" in opened) return { warnings: [withoutArchive(opened.failure)] };
      if (opened.days.length === 0) return { warnings: [] };
      const { selectors: texts, labels, signal } = query;
      const asked = { texts: texts.length === 0 ? undefined : texts, labels };
      const catalog = await use.use(asked, signal, (all, stop) => reading.catalog(all, stop));
      const discovery = new Discovery({ registry, catalog, selectors: use, promqlSeriesMax });
      return { found: await lookUp(discovery), warnings: [] };
    } catch (error) {
      if (error instanceof ArchiveAway) return { warnings: [withoutArchive(error.message)] };
      throw error;
    } finally {
      reading.release();
    }
  }

  get #external(): readonly (readonly [string, string])[] {
    return Object.entries(this.#options.upstream?.externalLabels ?? {});
  }

  /** The answer of the upstream. Undefined if the look-up does not need it. */
  async #ask(
    { selectors: texts, labels, signal, startMs, endMs }: LabelQuery,
    isHere: boolean,
    path: string,
  ): Promise<Question | undefined> {
    const { upstream, selectors: use, days, now } = this.#options;
    if (upstream === undefined) return undefined;
    const [first] = days();
    const isOlder = first === undefined || startMs < first.day * DAY_MS;
    if (isHere && !isOlder && upstream.settings.join === "own") return undefined;
    const parsed = await use.use(
      { texts: texts.length === 0 ? undefined : texts, labels },
      signal,
      async (all) => all.map((each) => each.map(({ name, operator, value }) => ({ name, operator, value }))),
    );
    const isOwn = isHere && upstream.settings.join === "own";
    const selectors = parsed.map((matchers) => [
      ...matchers,
      ...this.#external
        .filter(([name]) => isOwn && !mentions(matchers, name))
        .map(([name, value]) => ({ name, operator: "=" as const, value })),
    ]);
    const matches = selectors
      .filter((matchers) => matchers.length > 0)
      .map((matchers): [string, string] => ["match[]", selectorText(matchers)]);
    // Without times some servers look at the last minutes only.
    const times: [string, string][] = [
      ["start", seconds(Math.max(0, startMs))],
      ["end", seconds(Math.min(endMs, now()))],
    ];
    const query = new URLSearchParams([...matches, ...times]).toString();
    // Some servers accept the values of a label by GET only.
    const request = path.startsWith("/api/v1/label/")
      ? { path: `${path}?${query}`, headers: {}, body: "" }
      : formRequest(path, [...matches, ...times]);
    const none = new AbortController().signal;
    return {
      selectors: parsed,
      isOwn,
      answer: await upstream.data(request, signal ?? none, ANSWER_BYTES_MAX),
    };
  }

  async #names(
    stored: readonly string[],
    archived: Archived<readonly string[]>,
    asked: Question | undefined,
    hidden: ReadonlySet<string> = new Set(),
  ): Promise<LookedUp<readonly string[]>> {
    if (asked === undefined && archived.found === undefined)
      return { found: stored, warnings: archived.warnings };
    const upstream = asked === undefined ? NOTHING : listed<string>(asked, (row) => typeof row === "string");
    const { rows } = upstream;
    const warnings = [...archived.warnings, ...upstream.warnings];
    const names = new Set([...stored, ...(archived.found ?? [])]);
    for (const row of rows) if (!hidden.has(row)) names.add(row);
    return { found: await inSlices(sorting([...names], compareText)), warnings };
  }
}

const NOTHING = { rows: [], warnings: [] };

function isAll(first: number, last: number, meets: (day: number) => boolean): boolean {
  for (let day = first; day <= last; day++) if (!meets(day)) return false;
  return true;
}

function withoutArchive(failure: string): string {
  return `${failure}; the result has nothing of the archive`;
}

function warningOf(failure: string): string {
  return `${failure}; the result has only what is stored here`;
}

/** The rows of a list, without those that have another form. */
function listed<Row>(
  { answer }: Question,
  isRow: (row: unknown) => boolean,
): { rows: readonly Row[]; warnings: readonly string[] } {
  if ("failure" in answer) return { rows: [], warnings: [warningOf(answer.failure)] };
  return { rows: Array.isArray(answer.data) ? answer.data.filter(isRow) : [], warnings: [] };
}

function isLabels(row: unknown): boolean {
  return (
    typeof row === "object" && row !== null && Object.values(row).every((value) => typeof value === "string")
  );
}

function isMetadata(entry: unknown): entry is MetadataEntry {
  const { type, help, unit } = (entry ?? {}) as Partial<Record<string, unknown>>;
  return [type, help, unit].every((each) => typeof each === "string");
}
