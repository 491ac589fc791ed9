/** The settings of followed files, as a part of the table in settings.ts. */
import type { Setting } from "./settings.ts";

export const TAIL_SETTINGS = {
  tail: {
    type: { is: "patterns" },
    default: [],
    what: "Files of lines that are followed, by default JSON events: a path, a folder, or a glob such as `/tmp/metrics*.json`, with the rotated files beside them (src/tail/README.md). Can be given more than once.",
    why: "Only you know which files workers write.",
  },
  tailFromStart: {
    type: { is: "flag" },
    default: false,
    what: "Whether `tail` also stores the lines that files have at the first start, those of rotated files first.",
    why: "Like `tail -F`: only lines that are added later. `weir import` stores older ones, too.",
  },
  tailFormat: {
    type: { is: "choice", of: ["events", "logfmt", "influx", "csv"] },
    default: "events",
    what: "The format of the lines of `tail` (src/line-formats/README.md).",
    why: "Existing workers write JSON events.",
  },
  tailMap: {
    type: { is: "names" },
    default: [],
    what: "Which fields of these lines make events, such as `value=duration_ms,metric=name` (src/line-formats/README.md). Can be given more than once.",
    why: "JSON events need none. Of other lines only you know it.",
  },
  tailDelimiter: {
    type: { is: "text", optional: true },
    default: "",
    what: "The character between the columns of CSV, or `tab`. Without it, a comma.",
    why: "As in RFC 4180.",
  },
  tailHeader: {
    type: { is: "text", optional: true },
    default: "",
    what: "The header of CSV that has none.",
    why: "Most files of CSV begin with their header.",
  },
  tailPrecision: {
    type: { is: "text", optional: true },
    default: "",
    what: "The unit of the times of lines in the format `influx`: ns, us, ms or s. Without it, nanoseconds.",
    why: "As in InfluxDB.",
  },
} as const satisfies Record<string, Setting>;
