/** Opens the notifications: connects them with the store, which keeps what must survive a kill. */
import { type Config, SettingError } from "./config/config.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import { Notifications } from "./rules/notifications/notifications.ts";
import type { NotificationTemplates } from "./rules/notifications/texts/notification-templates.ts";
import type { Store, Stored } from "./store/store.ts";

interface NotificationParts {
  readonly log: Log;
  readonly counters: Counters;
  readonly now: () => number;
  readonly store: Pick<Store, "commit">;
  readonly stored: Pick<Stored, "notifications">;
}

/** Makes the texts of notifications. */
type TextTemplates = Pick<NotificationTemplates, "textsOf">;

/** Without notifiers nothing is sent. */
const NO_TEMPLATES: TextTemplates = { textsOf: () => ({ title: "", text: "" }) };

/**
 * The templates of the notifiers. Their room is loaded if there are any.
 *
 * @throws SettingError for a text that is not a template
 */
export async function notificationTemplates({ notify }: Pick<Config, "notify">): Promise<TextTemplates> {
  if (notify.length === 0) return NO_TEMPLATES;
  const { NotificationTemplates, NotifierTemplateError } = await import(
    "./rules/notifications/texts/notification-templates.ts"
  );
  try {
    return new NotificationTemplates(notify);
  } catch (error) {
    throw error instanceof NotifierTemplateError ? new SettingError(error.message) : error;
  }
}

/** The notifications of the settings. They are sent when this is started as a service. */
export function openNotifications(
  config: Config,
  templates: TextTemplates,
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
