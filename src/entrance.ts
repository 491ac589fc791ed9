/**
 * Opens what requests pass before a handler: certificates and web.yml, the tokens, and the gate that puts them together.
 */
import { hostname } from "node:os";
import { Access } from "./access/access.ts";
import { Gate } from "./access/gate.ts";
import {
  addressThatNeedsToken,
  type Config,
  gateSettings,
  pickSettings,
  tokenPaths,
} from "./config/config.ts";
import { whenSent } from "./http/stream.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import type { Registry } from "./series/registry.ts";
import { LiveWebConfig } from "./web-config/live-web-config.ts";

interface EntranceOptions {
  readonly log: Log;
  readonly counters: Counters;
  readonly now: () => number;
  /** A clock of tests, which also measures time. */
  readonly elapsedMs: (() => number) | undefined;
  readonly adminToken: string | undefined;
  /** Whether all requests come from this process. Certificates and web.yml are not read then. */
  readonly isTrusted: boolean;
}

/** Throws `WebConfigError` or `TokenFileError` if a file cannot be used. */
export function openEntrance(
  config: Config,
  { log, counters, now, elapsedMs, adminToken, isTrusted }: EntranceOptions,
) {
  const files = isTrusted
    ? { tlsCert: "", tlsKey: "", webConfigFile: "" }
    : pickSettings(config, "tlsCert", "tlsKey", "webConfigFile");
  const webConfig = new LiveWebConfig({ ...files, log, counters, now });
  const paths = tokenPaths(config);
  const access = new Access({
    path: paths.tokens,
    usesPath: paths.uses,
    adminToken,
    passwords: webConfig,
    mayBeOpen: addressThatNeedsToken(config) === undefined,
    now,
    log,
  });
  const gate = new Gate(gateSettings(config, hostname()), {
    access,
    web: webConfig,
    counters,
    whenSent,
    elapsedMs,
  });
  return { webConfig, access, gate };
}

/** How many metrics a line names. */
const METRICS_NAMED = 5;

/** Logs the labels of tokens that are attributes: a token with such a label reads nothing of these metrics. */
export function warnOfAttributes(
  names: ReadonlySet<string>,
  { config, registry, log }: { readonly config: Config; readonly registry: Registry; readonly log: Log },
): void {
  for (const label of names) {
    const metrics = config.attributes.includes(label) ? ["all"] : registry.metricsWithout(label);
    if (metrics.length === 0) continue;
    const more = metrics.length > METRICS_NAMED ? ` and ${metrics.length - METRICS_NAMED} more` : "";
    log("token_label_is_attribute", { label, metrics: metrics.slice(0, METRICS_NAMED).join(" ") + more });
  }
}
