/** The settings of Pushgateway's groups: a part of the table in settings.ts, which explains the fields. */
import { DAY_MS } from "../model/duration.ts";
import type { Setting } from "./settings.ts";

export const GROUP_SETTINGS = {
  groupTtlMs: {
    type: { is: "milliseconds", max: 36_525 * DAY_MS },
    default: 0,
    what: "How long after its last push a group expires, unless the push sets it (`?ttl=`). 0 means never.",
    why: "Pushed metrics stay until they are deleted, as in Pushgateway.",
    alias: "groupTtl",
  },
  groupsMax: {
    type: { is: "count", min: 1, max: 10_000_000 },
    default: 100_000,
    what: "Groups that can exist. Pushes to further groups are rejected.",
    why: "Some 27 kB of memory per group with a few series: at most 2.7 GB.",
  },
  groupSumGauges: {
    type: { is: "choice", of: ["last", "max", "min"] },
    default: "last",
    what: "The value of a gauge after pushes with `?mode=sum`: the last, the largest or the smallest one.",
    why: "A gauge has no sum. A push without `?mode=sum` also keeps the last value.",
  },
  enableAdminApi: {
    type: { is: "flag" },
    default: false,
    what: "Allows `PUT /api/v1/admin/wipe`, which deletes all groups, and `POST /api/v1/admin/tsdb/delete_series` and `/snapshot`.",
    why: "Off, as in Pushgateway and Prometheus.",
  },
  enableLifecycle: {
    type: { is: "flag" },
    default: false,
    what: "Allows `POST /-/quit`, which stops the gateway.",
    why: "Off, as in Pushgateway.",
  },
} as const satisfies Record<string, Setting>;
