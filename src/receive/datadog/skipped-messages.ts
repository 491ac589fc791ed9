/**
 * What an Agent sends beside metrics: service checks, events, and descriptions of hosts, processes and containers. It is
 * accepted and not stored, because an Agent logs whatever is rejected. It is counted by type, and logged once per type.
 *
 * An Agent sends a request again and again if the answer is 404. So a path of which nothing is known here is answered with
 * 400, after which the Agent drops the request and logs the answer.
 */
import type { Log } from "../../log/log.ts";
import type { Counters } from "../../model/counters.ts";
import { BadInput, quote } from "../../model/errors.ts";
import { DATADOG } from "./datadog-protocol.ts";

/**
 * By path: the type in counters, and what the messages are. The paths are those of the Agent's forwarder
 * (https://github.com/DataDog/datadog-agent, package defaultforwarder/endpoints) and of Datadog's API for events.
 */
const MESSAGES: ReadonlyMap<string, readonly [type: string, what: string]> = new Map([
  ["intake", ["intake", "events and descriptions of a host"]],
  ["api/v1/check_run", ["check_run", "service checks"]],
  ["api/v2/service_checks", ["check_run", "service checks"]],
  ["api/v1/events", ["event", "events"]],
  ["api/v2/events", ["event", "events"]],
  ["api/v1/metadata", ["metadata", "descriptions of a host"]],
  ["api/v2/host_metadata", ["metadata", "descriptions of a host"]],
  ["api/v1/collector", ["process", "descriptions of processes"]],
  ["api/v1/discovery", ["process", "descriptions of processes"]],
  ["api/v2/proclcycle", ["process", "descriptions of processes"]],
  ["api/v1/container", ["container", "descriptions of containers"]],
  ["api/v1/connections", ["connections", "descriptions of connections"]],
  ["api/v1/orchestrator", ["orchestrator", "descriptions of a cluster"]],
  ["api/v2/orch", ["orchestrator", "descriptions of a cluster"]],
  ["api/v2/orchmanif", ["orchestrator", "descriptions of a cluster"]],
]);

export class SkippedMessages {
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #logged = new Set<string>();

  constructor(log: Log, counters: Counters) {
    this.#log = log;
    this.#counters = counters;
  }

  /**
   * Counts a request.
   *
   * @param path the part of the path after `/datadog/`
   * @throws BadInput when it is not known what such a request has
   */
  skip(path: string): void {
    const found = MESSAGES.get(path.replace(/\/$/, ""));
    if (found === undefined) {
      throw new BadInput(
        `The path ${quote(`/datadog/${path}`)} is not supported; metrics are accepted at /datadog/api/v1/series, ` +
          "/datadog/api/v2/series, /datadog/api/v1/distribution_points and /datadog/api/beta/sketches.",
      );
    }
    const [type, what] = found;
    this.#counters.messagesSkipped.inc({ protocol: DATADOG.name, type });
    if (this.#logged.has(type)) return;
    this.#logged.add(type);
    this.#log("messages_skipped", {
      protocol: DATADOG.name,
      type,
      what: `Weir stores metrics only, not ${what}`,
    });
  }
}
