/** The settings of forwarding, a part of the table in settings.ts. */
import type { Setting } from "../settings.ts";

export const FORWARD_SETTINGS = {
  forward: {
    type: { is: "forward" },
    default: [],
    what: "Where stored samples are sent: tables `[[forward]]` in weir.toml (src/forward/README.md). Not a flag or a variable.",
    why: "Only you know which other systems should have them.",
  },
  upstream: {
    type: { is: "upstream" },
    default: [],
    what: "URL of a server with Prometheus's API that answers PromQL about what is not stored here: older ranges, and series of others (src/query/upstream/README.md). weir.toml can have a table `[upstream]`.",
    why: "Only you know where older samples are. Without it, queries read what is stored here.",
  },
  peers: {
    type: { is: "peers" },
    default: [],
    what: "Gateways that `/api/v1/fleet/query`, `query_range` and `sql` ask at once: `[NAME=]URL`, with commas between them. weir.toml can have tables `[[peers]]` (src/query/fleet/README.md).",
    why: "Only you know the gateways of the fleet.",
  },
  forwardHoldBytes: {
    type: { is: "bytes" },
    default: 0,
    what: "Bytes of days past `retentionDays` that are kept because a destination has not received them.",
    why: "0 drops every day in time. An outage that is shorter than the retention time loses nothing.",
  },
} as const satisfies Record<string, Setting>;
