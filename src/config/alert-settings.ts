/** The settings of notifications, a part of the table in settings.ts. */
import type { Setting } from "./settings.ts";

export const ALERT_SETTINGS = {
  notify: {
    type: { is: "notify" },
    default: [],
    what: "Where notifications of alerts are sent: tables `[[notify]]` in weir.toml (src/rules/notifications/README.md). Not a flag or a variable.",
    why: "Only you know who should learn of alerts.",
  },
  inhibit: {
    type: { is: "inhibit" },
    default: [],
    what: "Alerts that mute others while they are firing: tables `[[inhibit]]` in weir.toml (src/rules/notifications/README.md). Not a flag or a variable.",
    why: "Only you know which alert explains another.",
  },
} as const satisfies Record<string, Setting>;
