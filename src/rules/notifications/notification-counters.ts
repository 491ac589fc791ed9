/** The metrics of notifications. The label `notifier` has the names of the settings. */
import { Counter, Gauge, Histogram, type MetricsRegistry } from "../../model/metrics-library.ts";

/** What some gauges read at each scrape. */
interface LiveCounts {
  /** Alerts by state: firing, and of these those that are muted. */
  alerts(): { readonly active: number; readonly suppressed: number };
  silences(): Readonly<Record<"active" | "pending" | "expired", number>>;
  /** Notifications in delivery and alerts that wait, by notifier. */
  waiting(): ReadonlyMap<string, number>;
}

export type NotificationCounters = ReturnType<typeof createNotificationCounters>;

export function createNotificationCounters(registry: MetricsRegistry, live: LiveCounts) {
  const registers = [registry];
  new Gauge({
    name: "weir_notifications_alerts",
    help: "Alerts that are firing, by state: active, or suppressed by a silence or an inhibition.",
    labelNames: ["state"],
    registers,
    collect() {
      for (const [state, count] of Object.entries(live.alerts())) this.set({ state }, count);
    },
  });
  new Gauge({
    name: "weir_notifications_silences",
    help: "Silences, by state.",
    labelNames: ["state"],
    registers,
    collect() {
      for (const [state, count] of Object.entries(live.silences())) this.set({ state }, count);
    },
  });
  new Gauge({
    name: "weir_notifications_waiting",
    help: "Notifications in delivery, or alerts that wait for an Alertmanager, by notifier.",
    labelNames: ["notifier"],
    registers,
    collect() {
      for (const [notifier, count] of live.waiting()) this.set({ notifier }, count);
    },
  });
  return {
    received: new Counter({
      name: "weir_notifications_alerts_received_total",
      help: "Alerts that were received from rules and requests, by status.",
      labelNames: ["status"],
      registers,
    }),
    dropped: new Counter({
      name: "weir_notifications_alerts_dropped_total",
      help: "Alerts that were dropped because too many are known, or wait for an Alertmanager.",
      registers,
    }),
    sent: new Counter({
      name: "weir_notifications_sent_total",
      help: "Notifications that a receiver has taken, by notifier. For an Alertmanager: requests with alerts.",
      labelNames: ["notifier"],
      registers,
    }),
    failed: new Counter({
      name: "weir_notifications_failed_total",
      help: "Notifications that could not be delivered within their time, by notifier. They are sent again later.",
      labelNames: ["notifier"],
      registers,
    }),
    attemptsFailed: new Counter({
      name: "weir_notifications_attempts_failed_total",
      help: "Failed attempts to deliver a notification, by notifier.",
      labelNames: ["notifier"],
      registers,
    }),
    seconds: new Histogram({
      name: "weir_notifications_duration_seconds",
      help: "Time to deliver a notification, with its failed attempts, by notifier.",
      labelNames: ["notifier"],
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    }),
    lastSuccess: new Gauge({
      name: "weir_notifications_last_success_timestamp_seconds",
      help: "When a receiver last took a notification, by notifier.",
      labelNames: ["notifier"],
      registers,
    }),
    storeFailures: new Counter({
      name: "weir_notifications_store_failures_total",
      help: "Failed attempts to store alerts, silences and sent notifications. They are stored later.",
      registers,
    }),
  };
}
