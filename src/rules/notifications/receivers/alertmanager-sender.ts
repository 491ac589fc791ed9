/** Sends alerts to an Alertmanager, as Prometheus does: POST /api/v2/alerts. */
import type { NotifierServer } from "../../../model/alerts/notifier.ts";
import { isResolved, type KnownAlert } from "../alert-book.ts";
import { goTimeText } from "../texts/notification-data.ts";
import { postJson, urlOf } from "./http-post.ts";

/** The path of the API. The URL of the settings may have a prefix, or this path itself. */
const PATH = "/api/v2/alerts";

/** Sends some alerts: one attempt. Throws as `postJson`. */
export async function sendToAlertmanager(
  server: NotifierServer,
  alerts: readonly KnownAlert[],
  signal: AbortSignal,
): Promise<void> {
  const url = await urlOf(server);
  if (!url.pathname.endsWith(PATH)) url.pathname = url.pathname.replace(/\/$/, "") + PATH;
  const body = alerts.map((alert) => ({
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: goTimeText(alert.startsAt),
    // Without an end, the Alertmanager applies its own time limit.
    ...(alert.isTimeout && !isResolved(alert, alert.updatedAt) ? {} : { endsAt: goTimeText(alert.endsAt) }),
    generatorURL: alert.generatorURL,
  }));
  await postJson(server, url, body, signal);
}
