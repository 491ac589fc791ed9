/** The settings of a gateway that is configured by nothing: parts that a test opens get the
 * shipped values, and count in one set of counters. */
import { loadConfig } from "../src/config/config.ts";
import { createCounters } from "../src/model/counters.ts";

export const DEFAULTS = { ...loadConfig([], {}, () => undefined), counters: createCounters() };
