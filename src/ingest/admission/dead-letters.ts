/** Dead letters: what of a push was turned away, as the table of rejected samples keeps it. */
import type { Rejection } from "../../model/sample.ts";
import type { RejectedRecord } from "../../store/store.ts";

/** Dead letters that one push may leave, so that one broken sender does not push out the others'. */
export const LETTERS_PER_PUSH_MAX = 100;
const PAYLOAD_CHARACTERS_MAX = 1_000;

/** The first of a push's rejections, as records. */
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
