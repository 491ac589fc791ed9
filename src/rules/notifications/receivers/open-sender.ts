/** The sender of each type of notifier. */
import type { Notifier } from "../../../model/alerts/notifier.ts";
import { emailSender } from "./email-sender.ts";
import { execSender } from "./exec-sender.ts";
import { ntfySender, slackSender, webhookSender } from "./http-senders.ts";
import type { SendMessage } from "./notification-sender.ts";

/** The sender of a notifier. Undefined for an Alertmanager, which gets alerts and no notifications. */
export function openSender({ target, timeoutMs }: Notifier): SendMessage | undefined {
  switch (target.type) {
    case "webhook":
      return webhookSender(target);
    case "slack":
      return slackSender(target);
    case "ntfy":
      return ntfySender(target);
    case "email":
      return emailSender(target, timeoutMs);
    case "exec":
      return execSender(target);
    case "alertmanager":
      return undefined;
  }
}
