/** A gateway of the fleet that this gateway asks (src/query/fleet/README.md). */
import type { DestinationServer } from "./destination.ts";

/** Its URL is the one that `/api/v1/query` follows. */
export interface PeerGateway extends DestinationServer {
  /** The value of the label `gateway` in answers. */
  readonly name: string;
}
