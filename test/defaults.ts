/** The settings of a gateway that is configured by nothing: parts that a test opens get the shipped values. */
import { loadConfig } from "../src/config/config.ts";

export const DEFAULTS = loadConfig([], {}, () => undefined);
