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
