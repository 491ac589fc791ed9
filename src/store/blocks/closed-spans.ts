/**
 * Packs the days of a store whose spans have been closed for a while: one after the other, now and then.
 */
import type { Store } from "../store.ts";
import { SPAN_US } from "./made-blocks.ts";

/** What packing left of a day. */
interface Looked {
  readonly untilUs: number;
  readonly rows: number;
}

export class ClosedSpans {
  readonly #store: Pick<Store, "days" | "pack">;
  readonly #afterMs: number;
  readonly #looked = new Map<number, Looked>();

  /** @param afterMs how long after its end a span is packed: samples that come until then need no rows of their own */
  constructor(store: Pick<Store, "days" | "pack">, afterMs: number) {
    this.#store = store;
    this.#afterMs = afterMs;
  }

  /** Packs what is due. Returns the number of samples that are in blocks now. */
  async pack(nowMs: number, isStopped: () => boolean = () => false): Promise<number> {
    const untilUs = Math.floor(((nowMs - this.#afterMs) * 1_000) / SPAN_US) * SPAN_US;
    let packed = 0;
    for (const { day, rows } of this.#store.days()) {
      const dayUntilUs = Math.min(untilUs, (day + 1) * 12 * SPAN_US);
      if (isStopped() || dayUntilUs <= day * 12 * SPAN_US) break;
      const looked = this.#looked.get(day);
      if (looked?.untilUs === dayUntilUs && looked.rows === rows) continue;
      let isPostponed = false;
      const onPostponed = () => {
        isPostponed = true;
      };
      packed += await this.#store.pack({ day, untilUs: dayUntilUs, isStopped, onPostponed });
      if (!isPostponed) this.#looked.set(day, { untilUs: dayUntilUs, rows });
    }
    return packed;
  }
}
