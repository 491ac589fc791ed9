/**
 * The queries that run or wait now, in PromQL and SQL, and how long those of the last hour took. Each can be cancelled. All
 * of it is in memory, and bounded: queries that run are limited by their engines, and their texts are cut here.
 *
 * A query belongs to the token that asked it. Its caller sees and cancels its own queries; an admin, and everyone in an open
 * gateway, sees all.
 */
import { QueryDurations } from "./query-durations.ts";

export type AskedLanguage = "PromQL" | "SQL";

/** The caller of a query, as far as it decides who sees it. */
export interface QueryCaller {
  /** The id of the token. */
  readonly id: string;
  readonly name: string;
  /** Whether it sees the queries of all. */
  readonly isAdmin: boolean;
}

/** What is asked. */
export interface QueryAsked {
  readonly language: AskedLanguage;
  readonly text: string;
  /** The times of a query over a range, in milliseconds. */
  readonly range?: { readonly startMs: number; readonly endMs: number; readonly stepMs: number };
  /** Whether a rule asks, and no caller. */
  readonly isOfRule?: boolean;
}

/** A query as it is listed. */
export interface ListedQuery extends QueryAsked {
  readonly id: string;
  /** Undefined in an open gateway, and for rules. */
  readonly caller: QueryCaller | undefined;
  /** When it was asked, in milliseconds since the epoch. */
  readonly askedMs: number;
  /** How long ago that is. */
  readonly durationMs: number;
  /** `ending`: it was cancelled, and its thread or its connection is not free yet. */
  readonly state: "waiting" | "running" | "ending";
  /** Rows that were read for it so far, and series that its selectors found. */
  readonly rows: number;
  readonly series: number;
}

/** A query, for the engine that runs it. */
export interface ActiveQuery {
  /** Aborts when somebody cancels the query. */
  readonly signal: AbortSignal;
  /** It no longer waits for its turn. */
  start(): void;
  countRows(count: number): void;
  countSeries(count: number): void;
  /** It has ended. @param ms how long it took, if that is of interest */
  end(ms?: number): void;
}

interface ActiveOptions {
  readonly now: () => number;
  /** The caller whose request is being handled. */
  readonly caller?: () => QueryCaller | undefined;
  /** A clock that only goes forward, in milliseconds. The default is the system's. */
  readonly elapsedMs?: () => number;
}

/** Longer texts are cut, with an ellipsis. */
const TEXT_LENGTH_MAX = 2_000;

export class ActiveQueries {
  readonly durations: QueryDurations;
  readonly #options: ActiveOptions;
  readonly #elapsedMs: () => number;
  readonly #active = new Map<string, Running>();
  #last = 0;

  constructor(options: ActiveOptions) {
    this.#options = options;
    this.#elapsedMs = options.elapsedMs ?? (() => performance.now());
    this.durations = new QueryDurations(options.now);
  }

  /** Lists a query until it ends. Its caller is the one whose request is being handled. */
  begin(asked: QueryAsked): ActiveQuery {
    const { now, caller } = this.#options;
    const query = new Running(
      {
        ...asked,
        text: cut(asked.text),
        id: String(++this.#last),
        caller: asked.isOfRule ? undefined : caller?.(),
        askedMs: now(),
      },
      this.#elapsedMs(),
      (ms) => {
        if (this.#active.delete(query.known.id) && ms !== undefined) this.durations.note(query.known, ms);
      },
    );
    this.#active.set(query.known.id, query);
    return query;
  }

  /** The queries that a caller may see, the oldest first. Undefined sees all. */
  list(viewer: QueryCaller | undefined): ListedQuery[] {
    const elapsedMs = this.#elapsedMs();
    return [...this.#active.values()]
      .filter(({ known }) => sees(viewer, known))
      .map(({ known, beganMs, state, rows, series }) => ({
        ...known,
        durationMs: elapsedMs - beganMs,
        state,
        rows,
        series,
      }));
  }

  /** Cancels a query. False if the caller sees no such query. */
  cancel(id: string, viewer: QueryCaller | undefined): boolean {
    const query = this.#active.get(id);
    if (query === undefined || !sees(viewer, query.known)) return false;
    query.cancel();
    return true;
  }
}

/** Whether a caller sees a query. */
export function sees(
  viewer: QueryCaller | undefined,
  { caller }: { readonly caller: QueryCaller | undefined },
): boolean {
  return viewer === undefined || viewer.isAdmin || caller?.id === viewer.id;
}

class Running implements ActiveQuery {
  readonly known: Omit<ListedQuery, "durationMs" | "state" | "rows" | "series">;
  readonly beganMs: number;
  rows = 0;
  series = 0;
  readonly #canceled = new AbortController();
  #isWaiting = true;
  readonly #onEnd: (ms: number | undefined) => void;

  constructor(known: Running["known"], beganMs: number, onEnd: (ms: number | undefined) => void) {
    this.known = known;
    this.beganMs = beganMs;
    this.#onEnd = onEnd;
  }

  get signal(): AbortSignal {
    return this.#canceled.signal;
  }

  get state(): ListedQuery["state"] {
    return this.signal.aborted ? "ending" : this.#isWaiting ? "waiting" : "running";
  }

  start(): void {
    this.#isWaiting = false;
  }

  countRows(count: number): void {
    this.rows += count;
  }

  countSeries(count: number): void {
    this.series += count;
  }

  end(ms?: number): void {
    this.#onEnd(ms);
  }

  cancel(): void {
    this.#canceled.abort(new DOMException("The query was canceled.", "AbortError"));
  }
}

function cut(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX).toWellFormed()}…`;
}
