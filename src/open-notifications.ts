/** Opens the notifications: connects them with the store, which keeps what must survive a kill. */
import { type Config, SettingError } from "./config/config.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import { Notifications } from "./rules/notifications/notifications.ts";
import {
  NotificationTemplates,
  NotifierTemplateError,
} from "./rules/notifications/texts/notification-templates.ts";
import type { Store, Stored } from "./store/store.ts";

interface NotificationParts {
  readonly log: Log;
  readonly counters: Counters;
  readonly now: () => number;
  readonly store: Pick<Store, "commit">;
  readonly stored: Pick<Stored, "notifications">;
}

/**
 * The templates of the notifiers.
 *
 * @throws SettingError for a text that is not a template
 */
export function notificationTemplates({ notify }: Pick<Config, "notify">): NotificationTemplates {
  try {
    return new NotificationTemplates(notify);
  } catch (error) {
    throw error instanceof NotifierTemplateError ? new SettingError(error.message) : error;
  }
}

/** The notifications of the settings. They are sent when this is started as a service. */
export function openNotifications(
  config: Config,
  templates: NotificationTemplates,
  { log, counters, now, store, stored }: NotificationParts,
): Notifications {
  return new Notifications({
    ...{ store, now, log, templates },
    notifiers: config.notify,
    inhibitRules: config.inhibit,
    stored: stored.notifications,
    registry: counters.registry,
    externalURL: config.externalUrl.replace(/\/+$/, ""),
  });
}
