/**
 * Sends samples as one request, and divides it if it is refused, until the samples are found that the destination does not
 * take: these are given up, and all others are sent.
 */
import type { DestinationStatus, RefusedSample } from "./destination-status.ts";

/** Refused requests while one is divided. A destination that takes nothing of it must not get thousands of requests. */
const REFUSALS_MAX = 500;
/** Samples that are reported one by one. */
const REPORTED_MAX = 20;

/** Why a destination does not take a request. */
export interface Refusal {
  readonly reason: string;
  /** Whether a part of it would be refused too. */
  readonly isFinal?: boolean;
  /**
   * Whether the reason is that of samples which the destination may have already, from a request whose answer was lost. All of
   * them can be refused one by one, and behind them is one that the destination lacks. So they are not counted.
   */
  readonly isKnown?: boolean;
}

export interface DividedRequest {
  /** Sends the samples from `from` up to and without `to`, until that is answered. */
  readonly send: (from: number, to: number) => Promise<Refusal | undefined>;
  /** Where a refused request is divided: in the middle, unless a better place is near. */
  readonly middleOf?: (from: number, to: number) => number;
  readonly describe: (at: number, reason: string) => RefusedSample;
}

/** Resolves when each of `length` samples was taken or given up. */
export async function sendDivided(
  length: number,
  request: DividedRequest,
  status: Pick<DestinationStatus, "dropped">,
): Promise<void> {
  const reported: RefusedSample[] = [];
  let refusals = 0;
  let dropped = 0;
  const sendRange = async (from: number, to: number): Promise<void> => {
    const refusal = await request.send(from, to);
    if (refusal === undefined) return;
    if (!refusal.isKnown) refusals++;
    if (to - from === 1 || refusal.isFinal || refusals > REFUSALS_MAX) {
      dropped += to - from;
      for (let at = from; at < to && reported.length < REPORTED_MAX; at++)
        reported.push(request.describe(at, refusal.reason));
      return;
    }
    const middle = request.middleOf?.(from, to) ?? (from + to) >>> 1;
    await sendRange(from, middle);
    await sendRange(middle, to);
  };
  if (length > 0) await sendRange(0, length);
  status.dropped("refused", dropped, reported);
}
