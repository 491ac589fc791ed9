/** Dead letters: the rejected samples of a push, as records of the table `rejected`. */
import type { Rejection } from "../../model/sample.ts";
import type { RejectedRecord } from "../../store/store.ts";

/** Dead letters per push. The limit keeps one broken sender from displacing the dead letters of others. */
export const LETTERS_PER_PUSH_MAX = 100;
const PAYLOAD_CHARACTERS_MAX = 1_000;

/** The first rejections of a push, as records. */
export function deadLetters(
  rejected: readonly Rejection[],
  from: { readonly protocol: string; readonly instance: string; readonly arrivedMs: number },
): RejectedRecord[] {
  return rejected.slice(0, LETTERS_PER_PUSH_MAX).map(({ reason, payload }) => ({
    receivedAtMs: from.arrivedMs,
    protocol: from.protocol,
    instance: from.instance,
    reason,
    payload: payload.slice(0, PAYLOAD_CHARACTERS_MAX),
  }));
}
