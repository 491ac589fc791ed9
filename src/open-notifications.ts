/** Opens the notifications: connects them with the store, which keeps what must survive a kill. */
import { type Config, pickSettings, SettingError } from "./config/config.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import { Notifications } from "./rules/notifications/notifications.ts";
import { NotifierTemplateError } from "./rules/notifications/texts/notification-templates.ts";
import type { Store, Stored } from "./store/store.ts";

interface NotificationParts {
  readonly log: Log;
  readonly counters: Counters;
  readonly now: () => number;
  readonly store: Pick<Store, "commit">;
  readonly stored: Pick<Stored, "notifications">;
}

/** The notifications of the settings. They are sent when this is started as a service. @throws SettingError */
export function openNotifications(
  config: Config,
  { log, counters, now, store, stored }: NotificationParts,
): Notifications {
  const { notify, inhibit } = pickSettings(config, "notify", "inhibit");
  try {
    return new Notifications({
      ...{ store, now, log },
      notifiers: notify,
      inhibitRules: inhibit,
      stored: stored.notifications,
      registry: counters.registry,
      externalURL: config.externalUrl.replace(/\/+$/, ""),
    });
  } catch (error) {
    throw error instanceof NotifierTemplateError ? new SettingError(error.message) : error;
  }
}
