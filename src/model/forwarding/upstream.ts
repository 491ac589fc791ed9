/**
 * The upstream: a server with Prometheus's API that answers what is not stored here. The settings of weir.toml have the same
 * names in snake case (src/query/upstream/README.md).
 */
import type { DestinationServer } from "./destination.ts";

/** How samples are read. `auto` asks which of them the server supports. */
export const UPSTREAM_PROTOCOLS = ["auto", "export", "remote_read", "query"] as const;

export type UpstreamProtocol = Exclude<(typeof UPSTREAM_PROTOCOLS)[number], "auto">;

/** Whether a selector that finds series here also gets series of others from the upstream. */
export const UPSTREAM_JOINS = ["own", "all"] as const;

/** Its URL is what `/api/v1/query` follows. */
export interface Upstream extends DestinationServer {
  readonly protocol: (typeof UPSTREAM_PROTOCOLS)[number];
  readonly join: (typeof UPSTREAM_JOINS)[number];
}
