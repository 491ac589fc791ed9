/**
 * What a Worker asks of the upstream, and what it gets. The first thread sends the requests: it has the credentials, and
 * knows how the upstream was lately. A Worker decodes the answers, which can be large.
 */
import type { UpstreamProtocol } from "../../model/forwarding/upstream.ts";

/** A condition on a label. */
export interface UpstreamMatcher {
  readonly name: string;
  readonly operator: "=" | "!=" | "=~" | "!~";
  readonly value: string;
}

/** Samples of series over a range of time, both ends included, in whole milliseconds. */
export interface UpstreamAsked {
  readonly matchers: readonly UpstreamMatcher[];
  readonly startMs: number;
  readonly endMs: number;
  /** From when on a server adds up counters that it derives from events, as Weir does. The same for all parts of a query. */
  readonly totalsFromMs: number;
}

export type UpstreamAnswer =
  | { readonly protocol: UpstreamProtocol; readonly body: Uint8Array<ArrayBuffer> }
  | {
      /** One sentence for the warnings of the query. */
      readonly failure: string;
      /** Whether the server answered, and a shorter range may be accepted. */
      readonly isRefusal?: boolean;
    };

/** What a task needs to know of the upstream. */
export interface UpstreamRules {
  /** Its address without secrets. */
  readonly name: string;
  readonly join: "own" | "all";
  readonly externalLabels: readonly (readonly [name: string, value: string])[];
  /** How long a query waits for all answers of the upstream. */
  readonly waitMs: number;
}
