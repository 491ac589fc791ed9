/** Dead letters: the rejected samples of a push, as records of the table `rejected`. */
import type { Labels, Rejection } from "../../model/sample.ts";
import type { RejectedRecord } from "../../store/store.ts";
import { areLongerThan } from "./rejected-sample.ts";

/** Dead letters per push. The limit keeps one broken sender from displacing the dead letters of others. */
export const LETTERS_PER_PUSH_MAX = 100;
/** An event that is longer cannot be pushed again. Others have at most 1,000 characters. */
const PAYLOAD_CHARACTERS_MAX = 4_000;
/** Of a name or a value that was rejected because it is too long. */
const METRIC_CHARACTERS_MAX = 1_000;
/** Longer labels are not kept. */
const LABELS_CHARACTERS_MAX = 4_000;

/** What the rejected samples of a push have in common. */
interface LettersOrigin {
  readonly protocol: string;
  readonly instance: string;
  readonly arrivedMs: number;
  /** The labels that the push adds to all samples. */
  readonly extraLabels?: Labels;
}

/** The first rejections of a push, as records. */
export function deadLetters(
  rejected: readonly Rejection[],
  { protocol, instance, arrivedMs, extraLabels }: LettersOrigin,
): RejectedRecord[] {
  return rejected
    .slice(0, LETTERS_PER_PUSH_MAX)
    .map(({ cause, reason, payload, metric = "", labels, sample }) => ({
      receivedAtMs: arrivedMs,
      protocol,
      instance: extraLabels?.get("instance") ?? labels?.get("instance") ?? instance,
      cause,
      reason,
      payload: payload.slice(0, PAYLOAD_CHARACTERS_MAX),
      metric: metric.slice(0, METRIC_CHARACTERS_MAX),
      labels: bounded(extraLabels, labels),
      sample,
    }));
}

function bounded(extra: Labels = new Map(), labels: Labels = new Map()): Readonly<Record<string, string>> {
  if (areLongerThan(labels, LABELS_CHARACTERS_MAX)) return {};
  const all = Object.fromEntries([...extra, ...labels]);
  return JSON.stringify(all).length <= LABELS_CHARACTERS_MAX ? all : {};
}

/** The bytes of records, about, by which their table is bounded. */
export function bytesOfLetters(letters: readonly RejectedRecord[]): number {
  return letters.reduce(
    (sum, { reason, payload, sample = "" }) => sum + 2 * payload.length + reason.length + sample.length,
    0,
  );
}
