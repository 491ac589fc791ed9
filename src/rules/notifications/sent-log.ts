/**
 * The log of sent notifications, and the decision whether a group must be sent (Alertmanager's nflog and DedupStage): the
 * set of firing alerts has a new one, alerts are resolved, or the repeat interval has passed. Pure.
 */

/** What a notifier last got of a group. */
export interface SentEntry {
  /** 0 if it has got none yet. */
  readonly sentAtMs: number;
  /** Fingerprints. */
  readonly firing: readonly string[];
  readonly resolved: readonly string[];
  /**
   * Firing alerts of a later notification that the notifier may have got: its delivery was begun, and nobody knows that it
   * ended. Their end must be sent.
   */
  readonly attempted?: readonly string[];
  readonly attemptedAtMs?: number;
}

/** How long an entry is kept after its group is gone: as in Alertmanager, whose `--data.retention` is 120h. */
export const SENT_KEPT_MS = 120 * 3_600_000;

/** The alerts of a group that are not muted: fingerprints. */
export interface GroupState {
  readonly firing: readonly string[];
  readonly resolved: readonly string[];
}

/** How a notifier wants its notifications. */
export interface Repetition {
  readonly repeatIntervalMs: number;
  readonly sendResolved: boolean;
}

/** The entry when a delivery begins. What was attempted before counts on: an attempt may have succeeded late. */
export function attemptedEntry(
  before: SentEntry | undefined,
  { firing }: GroupState,
  nowMs: number,
): SentEntry {
  const { sentAtMs, firing: sent, resolved, attempted = [] } = before ?? NOTHING_SENT;
  return {
    sentAtMs,
    firing: sent,
    resolved,
    attempted: [...new Set([...attempted, ...firing])],
    attemptedAtMs: nowMs,
  };
}

const NOTHING_SENT: SentEntry = { sentAtMs: 0, firing: [], resolved: [] };

/** Whether a group with these alerts must be sent. `before` is what was last sent. */
export function mustSend(
  before: SentEntry | undefined,
  { firing, resolved }: GroupState,
  { repeatIntervalMs, sendResolved }: Repetition,
  nowMs: number,
): boolean {
  // A group that was never sent is sent at once, unless it has only resolved alerts.
  if (before === undefined) return firing.length > 0;
  if (!isSubset(firing, before.firing)) return true;
  // All are resolved. This does not depend on sendResolved, so that the firing alerts leave the log.
  if (firing.length === 0) return before.firing.length > 0 || (before.attempted ?? []).length > 0;
  if (sendResolved && !isSubset(resolved, before.resolved)) return true;
  return before.sentAtMs < nowMs - repeatIntervalMs;
}

function isSubset(some: readonly string[], all: readonly string[]): boolean {
  const set = new Set(all);
  return some.every((each) => set.has(each));
}
