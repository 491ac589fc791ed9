/**
 * A client that sends one push after the other, each with an Idempotency-Key, and now and then its Pushgateway group. What
 * had no answer is sent again with the same key until it has one.
 */
import type { Client } from "./client.ts";
import type { GatewayClock } from "./gateway-clock.ts";
import { LEVEL_PUSHES, LEVELS, type Ledger, makePush, type Push, type PushForm } from "./ledger.ts";
import type { Seeded } from "./seeded.ts";

/** Small pushes wait in the journal, and the largest commit to their tables at once. */
const LENGTHS = [1, 1, 5, 50, 200, 1_200];
/** A few are stored beside the commits of others, as one record of the journal and as a transaction. */
const LARGE = [101_000, 130_000];
const LARGE_CHANCE = 0.03;
/** Samples of the gauge in a push for a day before today: they become blocks, in many pieces for each span. */
const LEVEL_LENGTHS = [0, 20, 200, 2_000, 5_000];
const MANY_LEVELS_CHANCE = 0.1;
const DAY_MS = 86_400_000;
/** Pushes are for today, or for a day before. */
const DAYS_BACK = [0, 0, 0, 1, 1, 2, 2];
const GROUP_EACH = 5;
const FORMS: readonly PushForm[] = ["events", "events", "columns", "arrow"];
const BUSY_MS = 20;

export class Worker {
  readonly index: number;
  readonly #ledger: Ledger;
  readonly #random: Seeded;
  readonly #clock: GatewayClock;
  readonly #levelsMax: number;
  readonly #faults: string[];
  #number = 0;
  #group = 0;
  unanswered: Push | undefined;
  #isGroupUnanswered = false;
  isStopped = false;
  /** The latest day of which it has an acknowledged push. */
  latestDay = 0;

  constructor(
    index: number,
    ledger: Ledger,
    faults: string[],
    options: { readonly random: Seeded; readonly clock: GatewayClock; readonly levelsMax?: number },
  ) {
    this.index = index;
    this.#ledger = ledger;
    this.#random = options.random;
    this.#clock = options.clock;
    this.#levelsMax = options.levelsMax ?? LEVELS;
    this.#faults = faults;
  }

  /** Pushes until it is stopped, or a request has no answer. */
  async run(client: Client, round: number): Promise<void> {
    while (!this.isStopped) {
      if (!(await this.settle(client, true))) return;
      if (this.isStopped) return;
      if (this.#number % GROUP_EACH === GROUP_EACH - 1) {
        this.#group++;
        this.#isGroupUnanswered = true;
      }
      this.unanswered = this.#next(round);
    }
  }

  #next(round: number): Push {
    const length = this.#random.pick(this.#random.chance(LARGE_CHANCE) ? LARGE : LENGTHS);
    const scrap = this.#random.chance(0.3) ? 1 + this.#random.below(3) : 0;
    const now = this.#clock.now() - this.#random.below(60_000);
    const daysBack = this.#random.pick(DAYS_BACK);
    const timestampMs = Math.floor(now - daysBack * DAY_MS);
    // Today's can be in the future for a gateway whose clock goes back, which then stores a part of the push.
    const levels = daysBack > 0 && this.#number < LEVEL_PUSHES ? this.#levels() : 0;
    const form = this.#random.pick(FORMS);
    const name = { worker: this.index, number: this.#number++, round };
    return makePush(name, length, scrap, timestampMs, form, levels);
  }

  #levels(): number {
    const length = this.#random.chance(MANY_LEVELS_CHANCE) ? LEVELS : this.#random.pick(LEVEL_LENGTHS);
    return Math.min(length, this.#levelsMax);
  }

  /**
   * Sends what has no answer yet. Returns false if there is none now either.
   *
   * @param untilStopped sends it again while the gateway has no room, until the worker is stopped
   */
  async settle(client: Client, untilStopped = false): Promise<boolean> {
    const isRepeated = (status: number) => untilStopped && !this.isStopped && [429, 503].includes(status);
    while (this.unanswered !== undefined) {
      const push = this.unanswered;
      const answer = await client.send(push.path, {
        method: "POST",
        headers: { "Content-Type": push.contentType, "Idempotency-Key": push.name },
        body: push.body,
      });
      if (answer === undefined) return false;
      if (answer.status === 200) {
        const { accepted } = JSON.parse(answer.text) as { accepted: number };
        if (accepted !== push.events + push.scrap)
          this.#faults.push(
            `${push.name}: ${accepted} events were accepted, ${push.events + push.scrap} sent`,
          );
        // A large body is not needed any more.
        this.#ledger.acknowledged.push({ ...push, body: "" });
        this.latestDay = Math.max(this.latestDay, push.day);
        this.unanswered = undefined;
      } else if (isRepeated(answer.status)) {
        await Bun.sleep(BUSY_MS);
      } else if (answer.status === 400 && /futureMs|retention/.test(answer.text)) {
        // The clock was stepped between the making of the push and its arrival.
        this.unanswered = undefined;
      } else {
        if (answer.status !== 503 && answer.status !== 429)
          this.#faults.push(`${push.name} was answered ${answer.status}: ${answer.text.slice(0, 200)}`);
        return false;
      }
    }
    while (this.#isGroupUnanswered) {
      const answer = await client.send(`/metrics/job/torture/worker/w${this.index}`, {
        method: "PUT",
        body: `# TYPE torture_group gauge\ntorture_group ${this.#group}\n`,
      });
      if (answer === undefined) return false;
      if (answer.status === 200) {
        this.#ledger.groups.set(this.index, this.#group);
        this.#isGroupUnanswered = false;
      } else if (isRepeated(answer.status)) {
        await Bun.sleep(BUSY_MS);
      } else {
        if (answer.status !== 503 && answer.status !== 429)
          this.#faults.push(`a group was answered ${answer.status}: ${answer.text.slice(0, 200)}`);
        return false;
      }
    }
    return true;
  }
}
