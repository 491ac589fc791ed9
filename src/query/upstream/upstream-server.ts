/** The requests to the upstream. Every failure is one sentence for the warnings of a query. */
import type { MetricsRegistry } from "../../model/metrics-library.ts";
import type { Log } from "../../log/log.ts";
import type { Upstream, UpstreamProtocol } from "../../model/forwarding/upstream.ts";
import { type ApiAnswer, ApiServer, textOf } from "./api-server.ts";
import { type ApiRequest, samplesRequest } from "./sample-requests.ts";
import { createUpstreamCounters } from "./upstream-counters.ts";
import type { UpstreamAnswer, UpstreamAsked } from "./upstream-messages.ts";

export interface UpstreamOptions {
  readonly settings: Upstream;
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly metrics: MetricsRegistry;
  readonly log: Log;
  readonly now: () => number;
}

/** One answer. A query asks for a day at once, so this is some 3 million samples. */
const BODY_BYTES_MAX = 64 * 1_048_576;
/** In the order in which `auto` tries them. */
const PROTOCOLS: readonly UpstreamProtocol[] = ["export", "remote_read", "query"];

export class UpstreamServer {
  readonly #options: UpstreamOptions;
  readonly #server: ApiServer;
  /** The protocol that it supports, if that is known. */
  #supported: readonly UpstreamProtocol[] | undefined;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    const { settings, metrics, now, log } = options;
    const counters = createUpstreamCounters(metrics, () => this.#server.isPaused);
    this.#server = new ApiServer({
      ...{ settings, now },
      who: `the upstream ${this.name}`,
      onOutcome: (outcome) => counters.requests.inc({ outcome }),
      onAnswer: (bytes) => counters.bytes.inc(bytes),
      onEnd: (seconds) => counters.seconds.observe(seconds),
      onFailing: (error) => {
        counters.opened.inc();
        log("upstream_failing", { upstream: this.name, error });
      },
      onRecovered: (failedForMs) => log("upstream_recovered", { seconds: failedForMs / 1000 }),
    });
  }

  /** Its address for people: the origin, or the file that has the URL. */
  get name(): string {
    const { url } = this.#options.settings;
    return "file" in url ? `of ${url.file}` : (URL.parse(url.text)?.origin ?? "");
  }

  get settings(): Upstream {
    return this.#options.settings;
  }

  get externalLabels(): Readonly<Record<string, string>> {
    return this.#options.externalLabels;
  }

  /** How it is, for people. */
  report(): { readonly name: string; readonly isPaused: boolean; readonly lastError?: string } {
    return {
      name: this.name,
      isPaused: this.#server.isPaused,
      ...(this.#server.lastFailure === "" ? {} : { lastError: this.#server.lastFailure }),
    };
  }

  /** Samples of series, as the server stores them. */
  async samples(asked: UpstreamAsked, signal: AbortSignal): Promise<UpstreamAnswer> {
    const { protocol: given } = this.#options.settings;
    const tried = given === "auto" ? (this.#supported ?? PROTOCOLS) : [given];
    let refusal: UpstreamAnswer | undefined;
    for (const protocol of tried) {
      const answer = await this.request(samplesRequest(protocol, asked), signal);
      if ("failure" in answer) return answer;
      if (answer.status === 200) {
        this.#supported = [protocol];
        return { protocol, body: answer.body };
      }
      refusal = this.#server.refused(answer);
      if (!isUnsupported(answer.status, answer.body)) return refusal;
      // It may have become another server.
      this.#supported = undefined;
    }
    return refusal!;
  }

  /** The `data` of an answer of Prometheus's API. */
  async data(
    request: ApiRequest,
    signal: AbortSignal,
    bytesMax: number,
  ): Promise<{ data: unknown } | { failure: string }> {
    const answer = await this.#server.json(request, signal, bytesMax);
    return "failure" in answer ? answer : { data: (answer.value as { data?: unknown } | null)?.data };
  }

  /** Sends a request. An answer has any status that is not a failure of the server. */
  async request(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    return await this.#server.request(request, signal, BODY_BYTES_MAX);
  }

  /**
   * Why the server does not work. Undefined if it says that it does: at `/health`, as VictoriaMetrics, or at `/-/healthy`, as
   * Prometheus. Everyone may see the answer, so it has no address.
   */
  async fault(): Promise<string | undefined> {
    let status = 0;
    for (const path of ["/health", "/-/healthy"]) {
      const answer = await this.request({ path, headers: {}, body: "" }, new AbortController().signal);
      if ("failure" in answer) return `the upstream ${this.#server.lastFailure}`;
      if (answer.status === 200) return undefined;
      status = answer.status;
    }
    return `the upstream answered ${status} when it was asked for its health`;
  }
}

/** Whether an answer says that there is no such route, and not that the question is wrong. */
function isUnsupported(status: number, body: Uint8Array): boolean {
  if (status === 404 || status === 405 || status === 501) return true;
  return status === 400 && /unsupported path|remote read/i.test(textOf(body));
}
