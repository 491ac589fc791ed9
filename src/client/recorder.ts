/**
 * The part that the worker calls: checks a sample, copies its tags and appends it to the current batch. It does nothing
 * else, so that a call costs well below a microsecond: batches are encoded, compressed and sent later.
 */
import type { ClientCounts } from "./client-counts.ts";
import { quoted, type SampleTags } from "./options.ts";

/** The kinds of samples that a worker records, as `type` of an event. */
export type RecordedKind = "observation" | "counter" | "gauge";

/** A checked sample. */
export interface RecordedSample {
  readonly name: string;
  readonly value: number;
  /** Milliseconds since 1970, of the call. */
  readonly atMs: number;
  readonly kind: RecordedKind;
  /** A copy: the worker may change its own object after the call. */
  readonly tags: SampleTags | undefined;
}

/** As the gateway's default `nameBytesMax`, `tagsMax`, and safely below its `tagValueBytesMax` of 4 KiB in UTF-8. */
const NAME_LENGTH_MAX = 255;
const TAGS_MAX = 64;
const TAG_LENGTH_MAX = 1_024;
/** What a sample takes beside its texts. */
const SAMPLE_BYTES = 64;

export interface RecorderOptions {
  readonly batchSamples: number;
  /** A batch is also full at this many bytes of names and tags, so that huge tags make no huge request. */
  readonly batchBytes: number;
  readonly counts: ClientCounts;
  /** Receives full batches. Must return at once. */
  onFull(samples: RecordedSample[], bytes: number): void;
  readonly now?: () => number;
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #now: () => number;
  #samples: RecordedSample[] = [];
  #bytes = 0;
  #isClosed = false;
  /** The time of the last gauge: milliseconds, and microseconds in them. */
  #gaugeMs = 0;
  #gaugeUs = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Samples of the current batch. */
  get length(): number {
    return this.#samples.length;
  }

  /** Records one sample. Never throws. */
  record(kind: RecordedKind, name: string, value: number, tags: SampleTags | undefined): void {
    try {
      if (typeof value !== "number" || value - value !== 0) this.#refuseValue(name, value);
      else if (typeof name !== "string" || name === "" || name.length > NAME_LENGTH_MAX)
        this.#refuseName(name);
      else if (this.#isClosed)
        this.#options.counts.refuse("closed", `${name} was recorded after the client was closed`);
      else this.#append(kind, name, value, tags);
    } catch {
      // Only tags whose getters throw, or a replaced Date.now, come here.
      this.#options.counts.refuse("tags", "a sample was not recorded: its tags cannot be read");
    }
  }

  #append(kind: RecordedKind, name: string, value: number, tags: SampleTags | undefined): void {
    const atMs = kind === "gauge" ? this.#gaugeTime(this.#now()) : this.#now();
    let copy: SampleTags | undefined;
    let bytes = SAMPLE_BYTES + name.length;
    if (tags !== undefined && tags !== null) {
      if (typeof tags !== "object" || Array.isArray(tags))
        this.#options.counts.refuse("tags", `the tags of ${name} are ${quoted(tags)}, expected an object`);
      else {
        copy = { ...tags };
        let count = 0;
        for (const tag in copy) {
          const text = copy[tag];
          if (++count > TAGS_MAX || tag.length > NAME_LENGTH_MAX) {
            copy = this.#repaired(name, copy);
            bytes += sizeOf(copy);
            break;
          }
          bytes += tag.length;
          if (typeof text === "string") {
            bytes += text.length;
            if (text.length <= TAG_LENGTH_MAX) continue;
          } else if (typeof text === "boolean" || Number.isFinite(text)) {
            bytes += 8;
            continue;
          } else if (text === null || text === undefined) continue;
          copy = this.#repaired(name, copy);
          bytes = SAMPLE_BYTES + name.length + sizeOf(copy);
          break;
        }
      }
    }
    this.#samples.push({ name, value, atMs, kind, tags: copy });
    this.#bytes += bytes;
    this.#options.counts.recorded++;
    if (this.#samples.length >= this.#options.batchSamples || this.#bytes >= this.#options.batchBytes)
      this.cut();
  }

  /** Hands over what was recorded so far as a batch, if there is any. */
  cut(): void {
    if (this.#samples.length === 0) return;
    const samples = this.#samples;
    const bytes = this.#bytes;
    this.#samples = [];
    this.#bytes = 0;
    this.#options.onFull(samples, bytes);
  }

  close(): void {
    this.#isClosed = true;
  }

  /**
   * A gauge has one value per time, so two values of one millisecond get microseconds of their own. A clock that was set
   * back by more than a second is followed.
   */
  #gaugeTime(nowMs: number): number {
    if (nowMs > this.#gaugeMs || nowMs < this.#gaugeMs - 1_000) {
      this.#gaugeMs = nowMs;
      this.#gaugeUs = 0;
    } else if (++this.#gaugeUs === 1_000) {
      this.#gaugeMs++;
      this.#gaugeUs = 0;
    }
    return this.#gaugeMs + this.#gaugeUs / 1_000;
  }

  /** The tags that can be stored. The others are counted. */
  #repaired(name: string, tags: SampleTags): SampleTags {
    const { counts } = this.#options;
    const kept: Record<string, string | number | boolean> = {};
    let count = 0;
    for (const [tag, value] of Object.entries(tags)) {
      if (value === null || value === undefined) continue;
      if (count >= TAGS_MAX) {
        counts.refuse("tag_count", `${name} has more than ${TAGS_MAX} tags; the others were left out`);
        break;
      }
      if (tag.length > NAME_LENGTH_MAX) {
        counts.refuse("tag_value", `a tag of ${name} was left out: its name has ${tag.length} characters`);
      } else if (typeof value === "string") {
        kept[tag] = value.length > TAG_LENGTH_MAX ? this.#cutTag(name, tag, value) : value;
        count++;
      } else if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) {
        kept[tag] = value;
        count++;
      } else {
        const is = typeof value === "object" ? "an object" : quoted(value);
        counts.refuse("tag_value", `the tag ${quoted(tag)} of ${name} was left out: it is ${is}`);
      }
    }
    return kept;
  }

  #cutTag(name: string, tag: string, value: string): string {
    this.#options.counts.refuse(
      "tag_too_long",
      `the tag ${tag} of ${name} has ${value.length} characters; the first ${TAG_LENGTH_MAX} were recorded`,
    );
    // A half of a surrogate pair is not a character. The copy does not keep the whole text in memory.
    const cut = value.slice(0, TAG_LENGTH_MAX).replace(/[\ud800-\udbff]$/, "");
    return new TextDecoder().decode(new TextEncoder().encode(cut));
  }

  #refuseName(name: unknown): void {
    this.#options.counts.refuse(
      "name",
      `a sample was not recorded: its name is ${quoted(name)}, expected a text of 1 to ${NAME_LENGTH_MAX} characters`,
    );
  }

  #refuseValue(name: unknown, value: unknown): void {
    const is = typeof value === "object" && value !== null ? "an object" : quoted(value);
    this.#options.counts.refuse(
      "value",
      `a sample of ${quoted(name)} was not recorded: its value is ${is}, expected a finite number`,
    );
  }
}

function sizeOf(tags: SampleTags): number {
  let bytes = 0;
  for (const [tag, value] of Object.entries(tags)) bytes += tag.length + String(value).length;
  return bytes;
}
