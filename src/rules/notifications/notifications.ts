/**
 * Notifications of alerts, while the gateway runs: the timers, the deliveries and the store around the core
 * (notification-core.ts).
 *
 * - **At least once.** What must survive a kill is stored with each change: alerts that begin and end, silences, that a
 *   delivery begins, and what was sent. A start goes on from there. A kill between a delivery and its record sends the
 *   notification again.
 * - **A receiver delays nobody else.** Each group is delivered by itself, with a limit per notifier on those at a time.
 * - **A full disk** does not stop notifications. What could not be stored is stored later.
 * - `stop` gives deliveries in progress a second. The next start sends what was not delivered.
 */
import type { Log } from "../../log/log.ts";
import { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import { Busy } from "../../model/errors.ts";
import type { Notifier } from "../../model/alerts/notifier.ts";
import type { NotificationRecord } from "../../model/records.ts";
import type { Service } from "../../model/service.ts";
import type { MetricsRegistry } from "../../model/metrics-library.ts";
import type { Alert, AlertReceiver } from "../alert.ts";
import { isResolved, type KnownAlert } from "./alert-book.ts";
import type { AlertLabels } from "./alert-labels.ts";
import type { AlertmanagerQueue } from "./alertmanager-queue.ts";
import {
  type CoreSettings,
  type DueNotification,
  type Muting,
  NotificationCore,
} from "./notification-core.ts";
import { createNotificationCounters, type NotificationCounters } from "./notification-counters.ts";
import { sendToAlertmanager } from "./receivers/alertmanager-sender.ts";
import { deliver } from "./receivers/delivery.ts";
import { DeliveryFailure, type SendMessage } from "./receivers/notification-sender.ts";
import { openSender } from "./receivers/open-sender.ts";
import { type Silence, silenceState, type WantedSilence } from "./silences.ts";
import { notificationData } from "./texts/notification-data.ts";
import type { NotificationTemplates } from "./texts/notification-templates.ts";

interface NotificationOptions extends CoreSettings {
  /** What the store kept of an earlier process. */
  readonly stored: readonly NotificationRecord[];
  readonly store: {
    commit(change: { readonly notifications: readonly NotificationRecord[] }): Promise<void>;
  };
  readonly now: () => number;
  readonly registry: MetricsRegistry;
  readonly log: Log;
  readonly templates: Pick<NotificationTemplates, "textsOf">;
  /** The address of the gateway, for links. */
  readonly externalURL: string;
}

/** A group, for the API. */
export interface ShownGroup {
  readonly labels: AlertLabels;
  readonly receiver: string;
  readonly alerts: readonly KnownAlert[];
}

/** Interval in which what is over is forgotten: as in Alertmanager. Also the longest sleep, because clocks are changed. */
const PRUNE_MS = 30_000;
/** Deliveries of one notifier at the same time. */
const DELIVERIES_MAX = 8;
/** What deliveries in progress get at a stop. */
const STOP_MS = 1_000;

/** The gateway stops. */
class Stopping extends Error {}

/** A notifier, and what runs for it. */
interface Outlet {
  readonly notifier: Notifier;
  /** Undefined for an Alertmanager. */
  readonly send: SendMessage | undefined;
  readonly queue: AlertmanagerQueue | undefined;
  readonly limit: ConcurrencyLimit;
  inFlight: number;
  /** Whether the queue is being sent. */
  isSending: boolean;
  /** Keys of the groups whose last notification could not be delivered. */
  readonly failing: Set<string>;
}

export class Notifications implements AlertReceiver, Service {
  readonly #options: NotificationOptions;
  readonly #core: NotificationCore;
  readonly #counters: NotificationCounters;
  readonly #outlets: ReadonlyMap<string, Outlet>;
  readonly #stopping = new AbortController();
  readonly #deliveries = new Set<Promise<void>>();
  #timer: Timer | undefined;
  #isRunning = false;
  #isTickDue = false;
  #prunedMs = 0;
  /** The last attempt to store changes. */
  #storing: Promise<void> = Promise.resolve();
  #hasStoreFault = false;

  constructor(options: NotificationOptions) {
    const { notifiers, stored, now, log, registry } = options;
    this.#options = options;
    this.#core = new NotificationCore(options);
    for (const key of this.#core.restore(stored, now())) log("notification_record_unreadable", { key });
    this.#outlets = new Map(notifiers.map((notifier) => [notifier.name, this.#openOutlet(notifier)]));
    this.#counters = createNotificationCounters(registry, {
      alerts: () => this.#countAlerts(),
      silences: () => this.#countSilences(),
      waiting: () =>
        new Map(
          Array.from(this.#outlets.values(), ({ notifier, queue, inFlight }) => [
            notifier.name,
            queue?.size ?? inFlight,
          ]),
        ),
    });
    for (const { name } of notifiers) {
      for (const counter of [this.#counters.sent, this.#counters.failed, this.#counters.attemptsFailed])
        counter.inc({ notifier: name }, 0);
    }
  }

  #openOutlet(notifier: Notifier): Outlet {
    return {
      notifier,
      send: openSender(notifier),
      queue: this.#core.queues.get(notifier.name),
      limit: new ConcurrencyLimit(DELIVERIES_MAX, {
        tasks: "notifications",
        waitingPerRunning: Number.POSITIVE_INFINITY,
      }),
      inFlight: 0,
      isSending: false,
      failing: new Set(),
    };
  }

  /** Begins to send. Until then, alerts are only taken and stored. */
  start(): void {
    this.#isRunning = true;
    this.#tick();
  }

  /** Resolves when nothing is in progress any more, and what was delivered is stored. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    const timer = setTimeout(() => this.#stopping.abort(new Stopping()), STOP_MS);
    // A delivery that ends may begin the next one of its queue.
    while (this.#deliveries.size > 0) await Promise.all(this.#deliveries);
    clearTimeout(timer);
    await this.#persist().catch(() => undefined);
  }

  /** Takes alerts. @throws Busy if there are too many; what fits was taken then */
  async receive(alerts: readonly (Alert & { readonly isTimeout?: boolean })[]): Promise<void> {
    const nowMs = this.#options.now();
    for (const alert of alerts)
      this.#counters.received.inc({ status: isResolved(alert, nowMs) ? "resolved" : "firing" });
    const dropped = this.#core.receive(alerts, nowMs);
    this.#counters.dropped.inc(dropped);
    this.#tickSoon();
    await this.#persist();
    if (dropped > 0)
      throw new Busy(`Too many alerts: ${dropped} of ${alerts.length} were dropped; the others were taken.`);
  }

  /** The alerts that are firing. */
  alerts(): readonly KnownAlert[] {
    return this.#core.firing(this.#options.now());
  }

  mutingOf(alert: KnownAlert): Muting {
    return this.#core.mutingOf(alert, this.#options.now());
  }

  /** The names of the notifiers that get an alert. */
  receiversOf({ labels }: KnownAlert): readonly string[] {
    return this.#core.groups.notifiersOf(labels).map(({ name }) => name);
  }

  receivers(): readonly string[] {
    return this.#options.notifiers.map(({ name }) => name);
  }

  /** The groups that have firing alerts. */
  groups(): readonly ShownGroup[] {
    const nowMs = this.#options.now();
    return this.#core.groups
      .all()
      .map((group) => ({
        labels: group.labels,
        receiver: group.notifier.name,
        alerts: group.alerts().filter((alert) => !isResolved(alert, nowMs)),
      }))
      .filter(({ alerts }) => alerts.length > 0);
  }

  silences(): readonly { readonly silence: Silence; readonly state: ReturnType<typeof silenceState> }[] {
    const nowMs = this.#options.now();
    return this.#core.silences.all().map((silence) => ({ silence, state: silenceState(silence, nowMs) }));
  }

  /** @throws NotFound */
  silence(id: string): { readonly silence: Silence; readonly state: ReturnType<typeof silenceState> } {
    const silence = this.#core.silences.get(id);
    return { silence, state: silenceState(silence, this.#options.now()) };
  }

  /** Adds or changes a silence. Resolves to its id when it is stored. @throws BadInput, NotFound, TooLarge */
  async setSilence(wanted: WantedSilence): Promise<string> {
    const id = this.#core.setSilence(wanted, this.#options.now());
    await this.#persist();
    return id;
  }

  /** Ends a silence. Resolves when that is stored. @throws NotFound, Conflict */
  async expireSilence(id: string): Promise<void> {
    this.#core.expireSilence(id, this.#options.now());
    await this.#persist();
  }

  /** As `#tick`, once for all that happens at the moment: thousands of deliveries may end together. */
  #tickSoon(): void {
    if (this.#isTickDue) return;
    this.#isTickDue = true;
    setImmediate(() => this.#tick());
  }

  /** Sends what is due, and sets the timer for what is due next. */
  #tick(): void {
    this.#isTickDue = false;
    if (!this.#isRunning) return;
    clearTimeout(this.#timer);
    const nowMs = this.#options.now();
    if (Math.abs(nowMs - this.#prunedMs) >= PRUNE_MS) {
      this.#prunedMs = nowMs;
      this.#core.prune(nowMs);
    }
    for (const due of this.#core.takeDue(nowMs)) this.#begin(this.#deliver(due));
    for (const outlet of this.#outlets.values()) {
      if (outlet.queue === undefined || outlet.isSending || outlet.queue.size === 0) continue;
      outlet.isSending = true;
      this.#begin(this.#sendQueue(outlet, outlet.queue));
    }
    // Waits for nothing: what it stores is at most that a group needs no notification.
    void this.#persist().catch(() => undefined);
    const next = Math.min(this.#core.groups.nextMs() ?? Number.POSITIVE_INFINITY, nowMs + PRUNE_MS);
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, next - nowMs));
  }

  #begin(delivery: Promise<void>): void {
    this.#deliveries.add(delivery);
    void delivery.finally(() => this.#deliveries.delete(delivery));
  }

  async #deliver(due: DueNotification): Promise<void> {
    const outlet = this.#outlets.get(due.notifier.name)!;
    const { now, externalURL, templates } = this.#options;
    const data = notificationData(due, externalURL);
    // A start after a kill knows that the receiver may have got it, so that the end of its alerts is sent.
    await this.#persist().catch(() => undefined);
    const isDone = await this.#try(outlet, due.group.key, due.deadlineMs, async (signal) => {
      await outlet.send!({ data, ...templates.textsOf(due.notifier, data, now()) }, signal);
    });
    if (isDone) this.#core.delivered(due, now());
    else this.#core.failed(due);
    await this.#persist().catch(() => undefined);
    this.#tickSoon();
  }

  /** Sends the alerts that wait for an Alertmanager, until none waits. */
  async #sendQueue(outlet: Outlet, queue: AlertmanagerQueue): Promise<void> {
    const { target, groupIntervalMs } = outlet.notifier;
    while (target.type === "alertmanager" && queue.size > 0 && !this.#stopping.signal.aborted) {
      let batch = queue.batch();
      let isRejected = false;
      const isDone = await this.#try(outlet, "", groupIntervalMs, async (signal) => {
        // Each attempt sends what is true then.
        batch = queue.batch();
        await sendToAlertmanager(target, batch, signal).catch((error: unknown) => {
          isRejected = error instanceof DeliveryFailure && !error.isTemporary;
          throw error;
        });
      });
      // An Alertmanager that rejects alerts rejects them again. Their next states are sent.
      if (isDone || isRejected) queue.sent(batch);
    }
    outlet.isSending = false;
  }

  /** Delivers within a time. Resolves to whether that succeeded. Counts, and logs the first failure of a group. */
  async #try(
    outlet: Outlet,
    group: string,
    deadlineMs: number,
    attempt: (signal: AbortSignal) => Promise<void>,
  ): Promise<boolean> {
    const { notifier, failing } = outlet;
    const { name, timeoutMs } = notifier;
    const { log, now } = this.#options;
    const labels = { notifier: name };
    const end = this.#counters.seconds.startTimer(labels);
    outlet.inFlight++;
    try {
      await deliver(attempt, {
        timeoutMs,
        deadlineMs,
        stop: this.#stopping.signal,
        limit: outlet.limit,
        onFailure: () => this.#counters.attemptsFailed.inc(labels),
      });
      end();
      this.#counters.sent.inc(labels);
      this.#counters.lastSuccess.set(labels, now() / 1_000);
      if (failing.delete(group)) log("notification_delivered_again", { notifier: name, group });
      return true;
    } catch (error) {
      if (error instanceof Stopping) return false;
      this.#counters.failed.inc(labels);
      if (!failing.has(group)) {
        failing.add(group);
        log("notification_failed", { notifier: name, group, error: faultText(error) });
      }
      return false;
    } finally {
      outlet.inFlight--;
    }
  }

  /** Stores what has changed, after earlier changes. */
  #persist(): Promise<void> {
    const { store, log } = this.#options;
    const result = this.#storing.then(async () => {
      const notifications = this.#core.takeChanges();
      if (notifications.length === 0) return;
      try {
        await store.commit({ notifications });
        this.#hasStoreFault = false;
      } catch (error) {
        this.#core.returnChanges(notifications);
        this.#counters.storeFailures.inc();
        if (!this.#hasStoreFault) log("notifications_not_stored", { error: faultText(error) });
        this.#hasStoreFault = true;
        throw error;
      }
    });
    this.#storing = result.catch(() => undefined);
    return result;
  }

  #countAlerts(): { active: number; suppressed: number } {
    const counts = { active: 0, suppressed: 0 };
    for (const alert of this.alerts()) {
      const { silencedBy, inhibitedBy } = this.mutingOf(alert);
      counts[silencedBy.length + inhibitedBy.length > 0 ? "suppressed" : "active"]++;
    }
    return counts;
  }

  #countSilences(): Record<"active" | "pending" | "expired", number> {
    const counts = { active: 0, pending: 0, expired: 0 };
    for (const { state } of this.silences()) counts[state]++;
    return counts;
  }
}

function faultText(error: unknown): string {
  return error instanceof DeliveryFailure ? error.message : String(error);
}
