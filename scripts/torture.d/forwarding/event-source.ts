/**
 * A sender of events whose values are known: each event has a number of its own, so a destination can say which it lacks and
 * which it has twice. What had no answer is sent again with the same Idempotency-Key.
 */

export const LEVEL = "torture.level";
export const DONE = "torture.done";
export const DURATION = "torture.duration_ms";

/** What was acknowledged, of each of the three metrics. */
export interface SentEvents {
  /** Events of each metric: they have the values 1 to this number, once each. */
  count: number;
}

interface SentAnswer {
  readonly ok: boolean;
  readonly text: string;
}

export class EventSource {
  readonly #name: string;
  /** Sends a body. Undefined if no answer arrived. */
  readonly #post: (body: string, key: string) => Promise<SentAnswer | undefined>;
  readonly sent: SentEvents = { count: 0 };
  #lastMs = 0;
  #pushes = 0;

  constructor(name: string, post: (body: string, key: string) => Promise<SentAnswer | undefined>) {
    this.#name = name;
    this.#post = post;
  }

  /** The sum of the values of one metric. */
  get sum(): number {
    return (this.sent.count * (this.sent.count + 1)) / 2;
  }

  /** Pushes some events of each metric, until that is acknowledged. Throws if they are refused. */
  async push(each: number, isStopped: () => boolean = () => false): Promise<void> {
    const events: object[] = [];
    for (let at = 1; at <= each; at++) {
      const value = this.sent.count + at;
      // Each sample of a series has a time of its own.
      this.#lastMs = Math.max(this.#lastMs + 1, Date.now() - 1_000);
      const event = { "@timestamp": this.#lastMs, value, tags: { sender: this.#name } };
      const tags = { sender: this.#name, task_id: `${this.#name}-${value}` };
      events.push(
        { ...event, metric_name: LEVEL, type: "gauge" },
        { ...event, metric_name: DONE, type: "counter", tags },
        { ...event, metric_name: DURATION, tags },
      );
    }
    const body = JSON.stringify(events);
    const key = `${this.#name}-${this.#pushes++}`;
    for (;;) {
      const answer = await this.#post(body, key);
      if (answer?.ok) break;
      if (
        answer !== undefined &&
        /"accepted":0|"code"/.test(answer.text) &&
        !/unavailable|busy|full/i.test(answer.text)
      )
        throw new Error(`a push was answered: ${answer.text.slice(0, 300)}`);
      if (isStopped()) throw new Error("the gateway was away at the end");
      await Bun.sleep(20);
    }
    this.sent.count += each;
  }
}

/** Pushes to a gateway by HTTP. */
export async function postEvents(
  url: string,
  body: string,
  key: string,
  options: { readonly unix?: string } = {},
): Promise<SentAnswer | undefined> {
  try {
    const answer = await fetch(`${url}/api/v1/push`, {
      method: "POST",
      headers: { "idempotency-key": key },
      body,
      signal: AbortSignal.timeout(60_000),
      ...options,
    });
    return { ok: answer.ok, text: await answer.text() };
  } catch {
    return undefined;
  }
}
