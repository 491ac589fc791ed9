/**
 * The parameters of a push that Pushgateway does not have: `ttl`, `honor_timestamps`, `mode`. Other parameters are
 * ignored, as Pushgateway does.
 */
import { readFlag, wrongParameter } from "../../http/parameters.ts";
import { DAY_MS, parseDurationMs } from "../../model/duration.ts";
import { BadInput } from "../../model/errors.ts";

interface GroupPushParameters {
  /** How long after this push the group expires. */
  readonly ttlMs?: number;
  readonly honorTimestamps: boolean;
  /** Adds the values to those of the group. */
  readonly sum: boolean;
}

/** A hundred years: a longer time is a mistake in the unit. */
const TTL_MS_MAX = 36_525 * DAY_MS;

/** Reads a query. Throws `BadInput` that names the parameter. */
export function groupPushParameters(search: URLSearchParams, method: string): GroupPushParameters {
  const mode = search.get("mode");
  if (mode !== null && mode !== "sum") throw wrongParameter("mode", mode, "sum, or none");
  const sum = mode === "sum";
  if (sum && method === "PUT") {
    throw new BadInput("mode=sum adds to the values of the group, which PUT replaces; expected POST", "mode");
  }
  const honorTimestamps = readFlag(search, "honor_timestamps") ?? false;
  if (sum && honorTimestamps) {
    throw new BadInput(
      "mode=sum does not support honor_timestamps: a sum has the time of its last push",
      "mode",
    );
  }
  return { ttlMs: readTtl(search), honorTimestamps, sum };
}

function readTtl(search: URLSearchParams): number | undefined {
  const text = search.get("ttl");
  if (text === null) return undefined;
  const expected = "a duration such as 30s, 10m, 1h or 7d";
  const ms = parseDurationMs(text, "decimals");
  if (ms === undefined) throw wrongParameter("ttl", text, expected);
  if (ms < 1_000 || ms > TTL_MS_MAX) throw wrongParameter("ttl", text, `${expected}, from 1s to 36525d`);
  return ms;
}
