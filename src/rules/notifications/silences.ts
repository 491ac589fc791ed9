/**
 * Silences, as Alertmanager has them (silence/silence.go): alerts that match are muted from the start to the end. A silence
 * is never deleted by a person, but expired. It is forgotten five days after its end. Pure: times are arguments.
 */
import {
  type AlertMatcher,
  type AlertTest,
  alertTest,
  checked,
  MatcherFault,
  matchesEmpty,
} from "../../model/alerts/alert-matcher.ts";
import { BadInput, Conflict, NotFound, quote, TooLarge } from "../../model/errors.ts";
import type { AlertLabels } from "./alert-labels.ts";

/** Times are ms since the epoch. */
export interface Silence {
  readonly id: string;
  readonly matchers: readonly AlertMatcher[];
  readonly startsAt: number;
  readonly endsAt: number;
  readonly updatedAt: number;
  readonly createdBy: string;
  readonly comment: string;
}

/** A silence as a person wants it. With an id, it replaces that silence. */
export type WantedSilence = Omit<Silence, "id" | "updatedAt"> & { readonly id?: string };

export type SilenceState = "active" | "pending" | "expired";

/** As in Alertmanager, whose `--data.retention` is 120h. */
const EXPIRED_KEPT_MS = 120 * 3_600_000;
/** Each is compared with each alert. */
const SILENCES_MAX = 10_000;
const MATCHERS_MAX = 100;
const TEXT_LENGTH_MAX = 10_000;

export function silenceState({ startsAt, endsAt }: Silence, nowMs: number): SilenceState {
  if (nowMs < startsAt) return "pending";
  return nowMs < endsAt ? "active" : "expired";
}

export class Silences {
  readonly #silences = new Map<string, { readonly silence: Silence; readonly test: AlertTest }>();
  /** Of each label set that was asked for: the silences that match at any time, as of a version. */
  readonly #matching = new Map<string, { readonly version: number; readonly ids: readonly string[] }>();
  #version = 0;

  get(id: string): Silence {
    const found = this.#silences.get(id);
    if (found === undefined) throw new NotFound(`There is no silence ${quote(id)}.`);
    return found.silence;
  }

  all(): Silence[] {
    return Array.from(this.#silences.values(), ({ silence }) => silence);
  }

  /** The ids of the silences that mute an alert at a time. */
  mutersOf(fingerprint: string, labels: AlertLabels, nowMs: number): string[] {
    let matching = this.#matching.get(fingerprint);
    if (matching?.version !== this.#version) {
      const ids = [...this.#silences.values()]
        .filter(({ test }) => test(labels))
        .map(({ silence }) => silence.id);
      matching = { version: this.#version, ids };
      this.#matching.set(fingerprint, matching);
    }
    return matching.ids.filter((id) => silenceState(this.get(id), nowMs) === "active");
  }

  /** Forgets what is known of an alert. */
  forget(fingerprint: string): void {
    this.#matching.delete(fingerprint);
  }

  /**
   * Adds a silence, or changes the one with its id. A change that would rewrite the past expires the silence and adds a new
   * one.
   *
   * @returns the silences that changed; the wanted one is the last
   * @throws BadInput, NotFound, TooLarge
   */
  set(wanted: WantedSilence, nowMs: number): Silence[] {
    requireValid(wanted, nowMs);
    const { id, ...rest } = wanted;
    const before = id === undefined || id === "" ? undefined : this.get(id);
    if (before !== undefined && canChange(before, wanted, nowMs)) {
      const startsAt = silenceState(before, nowMs) === "active" ? before.startsAt : rest.startsAt;
      return [this.#keep({ ...rest, startsAt, id: before.id, updatedAt: nowMs })];
    }
    if (this.#silences.size >= SILENCES_MAX)
      throw new TooLarge(
        `There are ${SILENCES_MAX} silences already; wait until expired ones are forgotten.`,
      );
    const changed: Silence[] = [];
    if (before !== undefined && silenceState(before, nowMs) !== "expired")
      changed.push(this.expire(before.id, nowMs));
    // No silence begins in the past.
    const startsAt = Math.max(rest.startsAt, nowMs);
    changed.push(this.#keep({ ...rest, startsAt, id: crypto.randomUUID(), updatedAt: nowMs }));
    return changed;
  }

  /**
   * Ends a silence now.
   *
   * @throws NotFound, Conflict if it has ended
   */
  expire(id: string, nowMs: number): Silence {
    const silence = this.get(id);
    const state = silenceState(silence, nowMs);
    if (state === "expired") throw new Conflict(`The silence ${quote(id)} has expired already.`);
    const startsAt = state === "pending" ? nowMs : silence.startsAt;
    return this.#keep({ ...silence, startsAt, endsAt: nowMs, updatedAt: nowMs });
  }

  /** Adds a silence that an earlier process stored. */
  restore(silence: Silence): void {
    this.#keep(silence);
  }

  /** Forgets silences that ended long ago. Returns their ids. */
  prune(nowMs: number): string[] {
    const gone = this.all()
      .filter(({ endsAt }) => endsAt <= nowMs - EXPIRED_KEPT_MS)
      .map(({ id }) => id);
    for (const id of gone) this.#silences.delete(id);
    if (gone.length > 0) this.#version++;
    return gone;
  }

  #keep(silence: Silence): Silence {
    this.#silences.set(silence.id, { silence, test: alertTest(silence.matchers) });
    this.#version++;
    return silence;
  }
}

/** Whether a change leaves the past as it was. */
function canChange(before: Silence, wanted: WantedSilence, nowMs: number): boolean {
  if (!Bun.deepEquals(before.matchers, wanted.matchers)) return false;
  switch (silenceState(before, nowMs)) {
    case "active":
      return wanted.startsAt === before.startsAt && wanted.endsAt >= nowMs;
    case "pending":
      return wanted.startsAt >= nowMs;
    case "expired":
      return false;
  }
}

function requireValid(
  { matchers, startsAt, endsAt, createdBy, comment }: WantedSilence,
  nowMs: number,
): void {
  if (matchers.length === 0)
    throw new BadInput("matchers is empty, expected at least one matcher.", "matchers");
  if (matchers.length > MATCHERS_MAX)
    throw new BadInput(
      `matchers has ${matchers.length} entries, expected at most ${MATCHERS_MAX}.`,
      "matchers",
    );
  for (const matcher of matchers) {
    try {
      checked(matcher);
    } catch (error) {
      if (error instanceof MatcherFault) throw new BadInput(`matchers: ${error.message}.`, "matchers");
      throw error;
    }
  }
  if (matchers.every(matchesEmpty)) {
    throw new BadInput(
      "matchers match every alert, expected at least one matcher that an absent label does not match.",
      "matchers",
    );
  }
  if (endsAt <= startsAt)
    throw new BadInput(
      `endsAt is ${quote(timeText(endsAt))}, expected a time after startsAt, ${quote(timeText(startsAt))}.`,
      "endsAt",
    );
  if (endsAt <= nowMs)
    throw new BadInput(`endsAt is ${quote(timeText(endsAt))}, expected a time in the future.`, "endsAt");
  for (const [name, text] of Object.entries({ createdBy, comment })) {
    if (text.length > TEXT_LENGTH_MAX)
      throw new BadInput(`${name} has ${text.length} characters, expected at most ${TEXT_LENGTH_MAX}.`, name);
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
