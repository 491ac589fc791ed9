/** The settings of forwarding, a part of the table in settings.ts. */
import type { Setting } from "../settings.ts";

export const FORWARD_SETTINGS = {
  forward: {
    type: { is: "forward" },
    default: [],
    what: "Where stored samples are sent: tables `[[forward]]` in weir.toml (src/forward/README.md). Not a flag or a variable.",
    why: "Only you know which other systems should have them.",
  },
  forwardHoldBytes: {
    type: { is: "bytes" },
    default: 0,
    what: "Bytes of days past `retentionDays` that are kept because a destination has not received them.",
    why: "0 drops every day in time. An outage that is shorter than the retention time loses nothing.",
  },
} as const satisfies Record<string, Setting>;
