/** The settings of followed files, as a part of the table in settings.ts. */
import type { Setting } from "./settings.ts";

export const TAIL_SETTINGS = {
  tail: {
    type: { is: "patterns" },
    default: [],
    what: "Files of JSON events that are followed: a path, a folder, or a glob such as `/tmp/metrics*.json`, with the rotated files beside them (src/tail/README.md). Can be given more than once.",
    why: "Only you know which files workers write.",
  },
  tailFromStart: {
    type: { is: "flag" },
    default: false,
    what: "Whether `tail` also stores the lines that files have at the first start, those of rotated files first.",
    why: "Like `tail -F`: only lines that are added later. `weir import` stores older ones, too.",
  },
} as const satisfies Record<string, Setting>;
