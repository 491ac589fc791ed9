/**
 * Keeps the samples of gauges and cumulative series that queries read, so that a dashboard that is refreshed does not read
 * them again. The owner of the store keeps them, and Workers read them in memory that threads share.
 *
 * A group is what one query read: all samples of some series in a range of time. From the moment before its statements ran,
 * each committed row of these series is added to the group's tail, before its push is answered. A row that was committed in
 * between can be in both, and then counts once: such a series has at most one sample per time. So a group has exactly the
 * samples that are stored, as rows or in blocks. If samples are deleted, or may have been missed, all groups are forgotten.
 * Nothing of them is stored.
 */
import { DAY_MS } from "../../../model/duration.ts";
import { dayOf, type Metric, type Rows, type Series } from "../../../model/sample.ts";
import { type HeadOptions, HeadSamples } from "./head-samples.ts";
import { bytesOfChunk, type SampleChunk, type SampleTail } from "./sample-chunks.ts";
import { SharedRows } from "./shared-columns.ts";

/** What is asked for: the samples after one time, up to and including another. */
export interface SharedAsked {
  readonly afterMs: number;
  readonly toMs: number;
  /**
   * Whether the caller can do without the samples: nothing is begun then, unless the same is asked for again. Otherwise the
   * caller will read what is missing.
   */
  readonly isOptional?: boolean;
}

/** A group as a Worker reads it. */
export interface SharedPart {
  /** For what a reader makes of it. The head has none. */
  readonly ticket?: Ticket;
  readonly chunks: readonly SampleChunk[];
  readonly tail: SampleTail;
  /** Whether the series of each chunk are in ascending order of their ids. */
  readonly areSorted?: boolean;
  /** Samples up to this time are needed by no query like those since the chunks were made. */
  readonly neededAfterMs: number;
}

/** Refers to the samples that a reader makes. */
export interface Ticket {
  readonly group: number;
  /** How many times the group got chunks before. */
  readonly made: number;
}

export interface SharedAnswer {
  readonly parts: readonly SharedPart[];
  /** By series that was asked for: the index of its part and 1. It is 0 for a series that is not kept. */
  readonly partOf: Uint16Array;
  /** What the reader may make of the other series. Absent if somebody else does, or if nothing is to be kept. */
  readonly begun?: SharedBegun;
  /** What the reader may make of those series that the head has: a copy is read without joining chunks. */
  readonly copied?: { readonly part: number; readonly begun: SharedBegun };
  /** Whether the same optional samples were asked for before, so that reading them is worth it. */
  readonly isAgain: boolean;
}

/** What a reader may make: a group of the series that are not kept, with all samples after one time up to another. */
export interface SharedBegun {
  readonly ticket: Ticket;
  readonly afterMs: number;
  readonly toMs: number;
  /** The days that have rows. A reader that does not know one of them must not make the group. */
  readonly days: readonly number[];
  readonly bytesMax: number;
}

/** What a reader made: all samples of the series of a group. */
export interface SharedMade {
  readonly chunks: readonly SampleChunk[];
  /** How many rows of the tail they contain. */
  readonly tailLength: number;
  /** They have the samples after this time. */
  readonly afterMs: number;
}

/** What the kept samples need of the registry (src/series/registry.ts). */
interface SharedRegistry {
  /** Greater than the ids of all series that there are. */
  readonly nextId: number;
  seriesById(seriesId: number): Series | undefined;
}

export interface SharedSamplesOptions extends Pick<HeadOptions, "newestUs"> {
  readonly registry: SharedRegistry;
  readonly store: {
    days(): readonly { readonly day: number }[];
    /** See `Store.incompleteReaders`. */
    readonly incompleteReaders: number;
  };
  readonly now: () => number;
  /** Memory of the head and of all groups. */
  readonly sharedBytesMax?: number;
}

/** Eight million samples of series that are scraped together. */
const BYTES_MAX = 64 * 1_048_576;
/** A group has at most this share of the memory. */
const GROUP_SHARE = 0.75;
/** Groups that were not asked for are forgotten after this time. */
const UNUSED_MS = 15 * 60_000;
const AGE_INTERVAL_MS = 60_000;
/** A reader that has not made its samples after this time has failed. */
const MAKING_MS = 3 * 60_000;
/** What is asked for optionally twice within this time is read. */
const AGAIN_MS = 10 * 60_000;
/** What did not fit is not tried for this time. */
const TOO_LARGE_MS = 10 * 60_000;
/** Texts of what was asked for. */
const ASKED_MAX = 1_000;
/** A range that ends in the last minutes is read up to its end and beyond: the next query has a later one. */
const LIVE_MS = 10 * 60_000;
/** A range begins earlier than the one that was asked for: panels of one page are not asked for at the same moment. */
const EARLIER_SHARE = 1 / 16;
const EARLIER_MS_MIN = 15_000;
const EARLIER_MS_MAX = 5 * 60_000;
/** If a query needs more groups than this, one takes the place of all. */
const GROUPS_OF_QUERY_MAX = 12;
/** Groups of series are in pages by the id of a series: ids of one store can be years apart. */
const PAGE_BITS = 12;
const PAGE_IDS = 1 << PAGE_BITS;
const NONE = 0;
const SLOTS_MAX = 65_535;
/** The slot of a series that is new, and not of a metric that is kept. */
const UNTRACKED = 65_535;

interface Group {
  readonly key: number;
  /** The key of what was asked for when it began. */
  readonly asked: string;
  readonly slot: number;
  /** Undefined until the reader has made them. */
  chunks: readonly SampleChunk[] | undefined;
  chunkBytes: number;
  made: number;
  readonly tail: SharedRows;
  /** Whether the head had all of it when it was made. */
  readonly isCopy: boolean;
  /** How many series refer to it. Other groups can take some of them. */
  series: number;
  /** `Store.incompleteReaders` when it began. */
  readonly incompleteReaders: number;
  /** Series with this id, or a greater one, had no rows when it began. */
  readonly newFromId: number;
  afterMs: number;
  /** Samples after this time are not kept. */
  readonly toMs: number;
  /** How far before their moment queries have reached since the chunks were made. */
  reachMs: number;
  askedMs: number;
}

export class SharedSamples {
  readonly #options: SharedSamplesOptions;
  readonly #head: HeadSamples;
  readonly #groups = new Map<number, Group>();
  /** By slot. */
  #slots: (Group | undefined)[] = [undefined];
  #freeSlots: number[] = [];
  #pages: (Uint16Array | undefined)[] = [];
  /** The group that gets new series of a metric. */
  readonly #liveOf = new Map<Metric, Group>();
  /** The least `newFromId` of them. */
  #newFromId = Number.POSITIVE_INFINITY;
  #keys = 0;
  #agedMs = 0;
  /** When what was asked for optionally. */
  readonly #optional = new Map<string, number>();
  /** What does not fit, and until when that is assumed. */
  readonly #tooLarge = new Map<string, number>();

  constructor(options: SharedSamplesOptions) {
    this.#options = options;
    this.#head = new HeadSamples(options);
  }

  /** Bytes of the head and of all groups. */
  get bytes(): number {
    return this.#head.bytes + this.#groupBytes;
  }

  get #groupBytes(): number {
    return this.#groups.values().reduce((sum, { chunkBytes, tail }) => sum + chunkBytes + tail.bytes, 0);
  }

  /** Resolves when the head is not being made into chunks. */
  async settled(): Promise<void> {
    await this.#head.settled();
  }

  /** The samples of gauges and cumulative series, each of which is one stored series. */
  read(seriesIds: Uint32Array, { afterMs, toMs, isOptional = false }: SharedAsked): SharedAnswer {
    const nowMs = this.#options.now();
    this.#age();
    const partOf = new Uint16Array(seriesIds.length);
    const parts: SharedPart[] = [];
    const indexOf = new Map<number, number>();
    let missing = 0;
    let headPart = 0;
    for (let at = 0; at < seriesIds.length; at++) {
      const group = this.#groupOf(seriesIds[at]);
      if (group?.chunks === undefined || group.afterMs > afterMs || group.toMs < toMs) {
        if (this.#head.has(seriesIds[at], afterMs)) {
          if (headPart === 0)
            headPart = parts.push({ ...this.#head.read(), areSorted: true, neededAfterMs: afterMs });
          partOf[at] = headPart;
        } else missing++;
        continue;
      }
      let index = indexOf.get(group.slot);
      if (index === undefined) {
        group.askedMs = nowMs;
        group.reachMs = Math.max(group.reachMs, nowMs - earlierThan(afterMs, toMs));
        parts.push(partOfGroup(group, nowMs));
        index = parts.length;
        indexOf.set(group.slot, index);
      }
      partOf[at] = index;
    }
    const asked = { afterMs, toMs };
    const isAgain = isOptional && missing > 0 && this.#isAgain(seriesIds, nowMs);
    if (isOptional) return { parts, partOf, isAgain };
    if (missing === 0) {
      const copied = headPart > 0 ? this.#beginCopy(seriesIds, partOf, headPart, asked, nowMs) : undefined;
      return { parts, partOf, isAgain, ...(copied && { copied }) };
    }
    if (parts.length >= GROUPS_OF_QUERY_MAX) {
      partOf.fill(0);
      parts.length = 0;
    }
    const begun = this.#begin(seriesIds, partOf, 0, { ...asked, afterMs: earlierThan(afterMs, toMs) }, nowMs);
    return { parts, partOf, isAgain, ...(begun === undefined ? {} : { begun }) };
  }

  /** Takes the samples that a reader has made, or the reason why it has not. */
  settle(ticket: Ticket, result: SharedMade | "too large" | "failed"): void {
    const group = this.#groups.get(ticket.group);
    if (group === undefined || group.made !== ticket.made) return;
    // What the reader missed is in no tail either.
    const isIncomplete =
      group.chunks === undefined && group.incompleteReaders !== this.#options.store.incompleteReaders;
    if (typeof result === "string" || isIncomplete) {
      if (result === "too large") noted(this.#tooLarge, group.asked, this.#options.now() + TOO_LARGE_MS);
      if (group.chunks === undefined) this.#drop(group);
      return;
    }
    group.chunks = result.chunks;
    group.chunkBytes = result.chunks.reduce((sum, chunk) => sum + bytesOfChunk(chunk), 0);
    group.made++;
    group.afterMs = result.afterMs;
    group.reachMs = 0;
    if (result.tailLength > 0) group.tail.drop(result.tailLength);
    this.#makeRoom();
  }

  /** Adds rows that were committed, before anyone learns that they were. */
  add(rows: Rows): void {
    this.#head.add(rows);
    this.#addToGroups(rows);
    this.#makeRoom();
  }

  #addToGroups({ length, seriesId, timestampUs, value, stale }: Rows): void {
    if (this.#groups.size === 0) return;
    for (let row = 0; row < length; row++) {
      const id = seriesId[row];
      const group = this.#groupOf(id) ?? (id < this.#newFromId ? undefined : this.#groupOfNew(id));
      if (group === undefined) continue;
      const timestampMs = timestampUs[row] / 1_000;
      if (timestampMs > group.afterMs && timestampMs <= group.toMs)
        group.tail.add(id, timestampMs, value[row], stale?.[row] === 1);
    }
    this.#age();
  }

  /** Samples were deleted, or may have been missed: everything is forgotten. */
  forget(): void {
    this.#head.forget();
    this.#groups.clear();
    this.#noteLive();
    this.#slots = [undefined];
    this.#freeSlots = [];
    this.#pages = [];
  }

  /** The days before `firstDay` were dropped. Groups that can have samples of them are forgotten. */
  dropBefore(firstDay: number): void {
    // A sample at the beginning of the day is kept.
    this.#head.dropUpTo(firstDay * DAY_MS - 0.001);
    for (const group of [...this.#groups.values()])
      if (dayOf(group.afterMs * 1_000) < firstDay) this.#drop(group);
  }

  /** The group of a series whose first row this may be: all of its rows come from now on. */
  #groupOfNew(seriesId: number): Group | undefined {
    if (this.#slotOf(seriesId) !== NONE) return undefined;
    const metric = this.#options.registry.seriesById(seriesId)?.metric;
    const group = metric && this.#liveOf.get(metric);
    const isOurs = group !== undefined && seriesId >= group.newFromId;
    this.#setSlot(seriesId, isOurs ? group.slot : UNTRACKED);
    if (!isOurs) return undefined;
    group.series++;
    return group;
  }

  /** Notes that groups are gone. */
  #noteLive(): void {
    this.#newFromId = Number.POSITIVE_INFINITY;
    for (const [metric, group] of [...this.#liveOf]) {
      if (!this.#groups.has(group.key)) this.#liveOf.delete(metric);
      else this.#newFromId = Math.min(this.#newFromId, group.newFromId);
    }
  }

  #slotOf(seriesId: number): number {
    return this.#pages[seriesId >>> PAGE_BITS]?.[seriesId & (PAGE_IDS - 1)] ?? NONE;
  }

  #groupOf(seriesId: number): Group | undefined {
    return this.#slots[this.#slotOf(seriesId)];
  }

  #setSlot(seriesId: number, slot: number): void {
    const at = seriesId >>> PAGE_BITS;
    this.#pages[at] ??= new Uint16Array(PAGE_IDS);
    this.#pages[at][seriesId & (PAGE_IDS - 1)] = slot;
  }

  /** Whether the same was asked for a while ago. */
  #isAgain(seriesIds: Uint32Array, nowMs: number): boolean {
    const key = keyOf(seriesIds);
    if (this.#isTooLarge(key, nowMs)) return false;
    const beforeMs = this.#optional.get(key);
    if (beforeMs !== undefined && Math.abs(nowMs - beforeMs) < AGAIN_MS) return true;
    noted(this.#optional, key, nowMs);
    return false;
  }

  #isTooLarge(key: string, nowMs: number): boolean {
    return (this.#tooLarge.get(key) ?? 0) > nowMs;
  }

  /** As `#begin`, for the series that the head has. */
  #beginCopy(
    seriesIds: Uint32Array,
    partOf: Uint16Array,
    part: number,
    { afterMs, toMs }: SharedAsked,
    nowMs: number,
  ): SharedAnswer["copied"] {
    const earlierMs = earlierThan(afterMs, toMs);
    const hasEarlier = seriesIds.every((id, at) => partOf[at] !== part || this.#head.has(id, earlierMs));
    const range = { afterMs: hasEarlier ? earlierMs : afterMs, toMs };
    const begun = this.#begin(seriesIds, partOf, part, range, nowMs);
    return begun && { part, begun };
  }

  /**
   * From here on rows of some series are added to a tail.
   *
   * @param part those with this number in `partOf`
   */
  #begin(
    seriesIds: Uint32Array,
    partOf: Uint16Array,
    part: number,
    { afterMs, toMs }: SharedAsked,
    nowMs: number,
  ): SharedAnswer["begun"] {
    const asked = keyOf(seriesIds);
    if (this.#isTooLarge(asked, nowMs)) return undefined;
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    if (slot >= SLOTS_MAX) return undefined;
    const group: Group = {
      ...{ key: ++this.#keys, asked, slot, chunks: undefined, chunkBytes: 0, made: 0, series: 0 },
      isCopy: part > 0,
      tail: new SharedRows(),
      afterMs,
      toMs: toMs >= nowMs - LIVE_MS ? Number.POSITIVE_INFINITY : toMs,
      reachMs: 0,
      incompleteReaders: this.#options.store.incompleteReaders,
      newFromId: this.#options.registry.nextId,
      askedMs: nowMs,
    };
    const metrics = new Set<Metric | undefined>();
    for (let at = 0; at < seriesIds.length; at++) {
      if (partOf[at] !== part) continue;
      const other = this.#groupOf(seriesIds[at]);
      // Somebody else is reading it.
      if (other !== undefined && other.chunks === undefined && nowMs - other.askedMs < MAKING_MS) continue;
      if (other !== undefined && --other.series === 0) this.#remove(other);
      this.#setSlot(seriesIds[at], slot);
      group.series++;
      if (group.toMs === Number.POSITIVE_INFINITY)
        metrics.add(this.#options.registry.seriesById(seriesIds[at])?.metric);
    }
    if (group.series === 0) {
      if (slot < this.#slots.length) this.#freeSlots.push(slot);
      return undefined;
    }
    this.#slots[slot] = group;
    this.#groups.set(group.key, group);
    for (const metric of metrics) if (metric !== undefined) this.#liveOf.set(metric, group);
    this.#noteLive();
    return {
      ticket: { group: group.key, made: 0 },
      afterMs: group.afterMs,
      toMs: group.toMs,
      days: this.#options.store.days().map(({ day }) => day),
      bytesMax: GROUP_SHARE * (this.#options.sharedBytesMax ?? BYTES_MAX),
    };
  }

  #age(): void {
    const nowMs = this.#options.now();
    if (Math.abs(nowMs - this.#agedMs) < AGE_INTERVAL_MS) return;
    this.#agedMs = nowMs;
    for (const group of [...this.#groups.values()]) {
      const idleMs = group.chunks === undefined ? MAKING_MS : UNUSED_MS;
      if (nowMs - group.askedMs > idleMs) this.#drop(group);
    }
  }

  /**
   * Drops what is needed the least, until the rest fits: copies of what the head has, the oldest samples of the head while it has
   * more than its share, and groups. Those that were not asked for the longest are the first.
   */
  #makeRoom(): void {
    const { sharedBytesMax: most = BYTES_MAX } = this.#options;
    let groupBytes = this.#groupBytes;
    while (groupBytes + this.#head.bytes > most) {
      const groups = [...this.#groups.values()].sort((a, b) => a.askedMs - b.askedMs);
      const copy = groups.find(({ isCopy, chunks }) => isCopy && chunks !== undefined);
      if (copy === undefined && this.#head.bytes > most * (1 - GROUP_SHARE) && this.#head.dropOldest())
        continue;
      const dropped = copy ?? groups[0];
      if (dropped === undefined) return;
      // It would be made and dropped again and again.
      if (dropped.isCopy) noted(this.#tooLarge, dropped.asked, this.#options.now() + TOO_LARGE_MS);
      groupBytes -= dropped.chunkBytes + dropped.tail.bytes;
      this.#drop(dropped);
    }
  }

  #drop(group: Group): void {
    for (const page of this.#pages) {
      if (page === undefined) continue;
      for (let at = 0; at < PAGE_IDS; at++) if (page[at] === group.slot) page[at] = NONE;
    }
    this.#remove(group);
  }

  /** Removes a group that no series refers to. */
  #remove(group: Group): void {
    this.#groups.delete(group.key);
    this.#slots[group.slot] = undefined;
    this.#freeSlots.push(group.slot);
    this.#noteLive();
  }
}

function partOfGroup({ key, made, chunks, tail, afterMs, reachMs }: Group, nowMs: number): SharedPart {
  return {
    ticket: { group: key, made },
    chunks: chunks!,
    tail: tail.read(),
    neededAfterMs: Math.max(afterMs, nowMs - reachMs),
  };
}

/** Where the samples begin that are kept for a range. */
function earlierThan(afterMs: number, toMs: number): number {
  const share = (toMs - afterMs) * EARLIER_SHARE;
  return Math.floor(afterMs - Math.min(EARLIER_MS_MAX, Math.max(EARLIER_MS_MIN, share)));
}

/** The key of what was asked for. Others may have the same: then they are tried again later, or earlier. */
function keyOf(seriesIds: Uint32Array): string {
  return `${seriesIds.length} ${seriesIds[0]} ${seriesIds.at(-1)}`;
}

function noted(times: Map<string, number>, key: string, timeMs: number): void {
  if (times.size >= ASKED_MAX) times.clear();
  times.set(key, timeMs);
}
