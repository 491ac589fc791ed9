/** The settings of Pushgateway's groups: a part of the table in settings.ts, which says what the fields are. */
import type { Setting } from "./settings.ts";

export const GROUP_SETTINGS = {
  groupTtlMs: {
    type: { is: "milliseconds", max: 36_525 * 86_400_000 },
    default: 0,
    what: "A group goes this long after its last push, unless the push says otherwise (`?ttl=`); 0 is never.",
    why: "What was pushed stays until it is deleted, as with Pushgateway.",
    alias: "groupTtl",
  },
  groupsMax: {
    type: { is: "count", min: 1, max: 10_000_000 },
    default: 100_000,
    what: "Groups at a time; pushes to one more are turned away.",
    why: "Some 27 kB of memory each with a handful of series: 2.7 GB at the most.",
  },
  groupSumGauges: {
    type: { is: "choice", of: ["last", "max", "min"] },
    default: "last",
    what: "What becomes of gauges in pushes that add up (`?mode=sum`).",
    why: "Gauges have no sum; the last value is what a push without it would leave.",
  },
  enableAdminApi: {
    type: { is: "flag" },
    default: false,
    what: "Allows `PUT /api/v1/admin/wipe`, which deletes all groups, and `POST /api/v1/admin/tsdb/delete_series` and `/snapshot`.",
    why: "Off, as with Pushgateway and Prometheus.",
  },
  enableLifecycle: {
    type: { is: "flag" },
    default: false,
    what: "Allows `POST /-/quit`, which stops the gateway.",
    why: "Off, as with Pushgateway.",
  },
} as const satisfies Record<string, Setting>;
