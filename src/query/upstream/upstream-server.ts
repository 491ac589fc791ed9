/**
 * The requests to the upstream: with its credentials, within limits of time and size, and none while it does not answer. Every
 * failure is one sentence for the warnings of a query. It names the upstream, and has no secret.
 */
import type { MetricsRegistry } from "../../model/metrics-library.ts";
import type { Log } from "../../log/log.ts";
import { quote } from "../../model/errors.ts";
import type { Upstream, UpstreamProtocol } from "../../model/forwarding/upstream.ts";
import { BodyOverLimit, connectionFault, readLimitedBody, SecretFault } from "../../wire/outgoing-request.ts";
import { serverRequest } from "../../wire/server-request.ts";
import { Circuit } from "./circuit.ts";
import { type ApiRequest, samplesRequest } from "./sample-requests.ts";
import { createUpstreamCounters, type OUTCOMES, type UpstreamCounters } from "./upstream-counters.ts";
import type { UpstreamAnswer, UpstreamAsked } from "./upstream-messages.ts";

export interface UpstreamOptions {
  readonly settings: Upstream;
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly metrics: MetricsRegistry;
  readonly log: Log;
  readonly now: () => number;
}

/** An answer of the upstream, or why there is none. */
export type ApiAnswer =
  | { readonly status: number; readonly body: Uint8Array<ArrayBuffer> }
  | { readonly failure: string; readonly isRefusal?: boolean };

/** One answer. A query asks for a day at once, so this is some 3 million samples. */
const BODY_BYTES_MAX = 64 * 1_048_576;
const REASON_CHARACTERS_MAX = 200;
/** In the order in which `auto` tries them. */
const PROTOCOLS: readonly UpstreamProtocol[] = ["export", "remote_read", "query"];

export class UpstreamServer {
  readonly #options: UpstreamOptions;
  readonly #circuit: Circuit;
  readonly #counters: UpstreamCounters;
  /** The protocol that it supports, if that is known. */
  #supported: readonly UpstreamProtocol[] | undefined;
  #lastFailure = "";
  #failingSinceMs: number | undefined;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    const { metrics, now } = options;
    this.#circuit = new Circuit(now);
    this.#counters = createUpstreamCounters(metrics, () => this.#circuit.isOpen);
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
      isPaused: this.#circuit.isOpen,
      ...(this.#lastFailure === "" ? {} : { lastError: this.#lastFailure }),
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
      refusal = this.#refused(answer);
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
    const answer = await this.request(request, signal, bytesMax);
    if ("failure" in answer) return answer;
    if (answer.status !== 200) return this.#refused(answer);
    try {
      const { data } = JSON.parse(textOf(answer.body)) as { data: unknown };
      return { data };
    } catch {
      return { failure: this.#sentence("answered with a text that is not JSON") };
    }
  }

  /**
   * Sends a request. An answer has any status that is not a failure of the server. The body is read up to a limit.
   *
   * @param signal of the query or look-up that needs the answer
   */
  async request(
    { path, headers, body }: ApiRequest,
    signal: AbortSignal,
    bytesMax = BODY_BYTES_MAX,
  ): Promise<ApiAnswer> {
    if (this.#circuit.isOpen) {
      this.#count("skipped");
      return {
        failure: this.#sentence(`is not asked at the moment, because it failed: ${this.#lastFailure}`),
      };
    }
    const { settings } = this.#options;
    const late = AbortSignal.timeout(settings.timeoutMs);
    const begin = performance.now();
    let hide = (text: string) => text;
    try {
      const { url, headers: own, options, withoutSecrets } = await serverRequest(settings);
      hide = withoutSecrets;
      const [route, query] = path.split("?", 2);
      url.pathname = `${url.pathname.replace(/\/+$/, "")}${route}`;
      for (const [name, value] of new URLSearchParams(query)) url.searchParams.append(name, value);
      const response = await fetch(url, {
        ...options,
        method: body === "" ? "GET" : "POST",
        headers: { ...own, ...headers },
        ...(body === "" ? {} : { body }),
        signal: AbortSignal.any([signal, late]),
      });
      const bytes = (await readLimitedBody(response, bytesMax)).slice() as Uint8Array<ArrayBuffer>;
      this.#counters.bytes.inc(bytes.length);
      const { status } = response;
      if (status >= 500 || status === 429 || (status >= 300 && status < 400))
        return this.#failed(signal, "error", `answered ${status}${reasonOf(hide(textOf(bytes)))}`);
      this.#succeeded(status < 300 ? "ok" : "refused");
      // Only errors are shown.
      return { status, body: status < 300 ? bytes : new TextEncoder().encode(hide(textOf(bytes))) };
    } catch (error) {
      // The client has gone, which says nothing about the server.
      if (signal.aborted) return { failure: this.#sentence("was not waited for") };
      if (late.aborted)
        return this.#failed(signal, "timeout", `did not answer within ${settings.timeoutMs} ms`);
      if (error instanceof BodyOverLimit) {
        this.#succeeded("refused");
        return {
          failure: this.#sentence(`has an answer of more than ${bytesMax} bytes: select fewer series`),
          isRefusal: true,
        };
      }
      const why = error instanceof SecretFault ? error.message : hide(connectionFault(error));
      return this.#failed(signal, "error", `is unavailable: ${why}`);
    } finally {
      this.#counters.seconds.observe((performance.now() - begin) / 1000);
    }
  }

  /**
   * Why the server does not work. Undefined if it says that it does: at `/health`, as VictoriaMetrics, or at `/-/healthy`, as
   * Prometheus. Everyone may see the answer, so it has no address.
   */
  async fault(): Promise<string | undefined> {
    let status = 0;
    for (const path of ["/health", "/-/healthy"]) {
      const answer = await this.request({ path, headers: {}, body: "" }, new AbortController().signal);
      if ("failure" in answer) return `the upstream ${this.#lastFailure}`;
      if (answer.status === 200) return undefined;
      status = answer.status;
    }
    return `the upstream answered ${status} when it was asked for its health`;
  }

  #refused({ status, body }: { status: number; body: Uint8Array }): { failure: string; isRefusal: true } {
    return { failure: this.#sentence(`answered ${status}${reasonOf(textOf(body))}`), isRefusal: true };
  }

  #sentence(what: string): string {
    return `the upstream ${this.name} ${what}`;
  }

  #count(outcome: (typeof OUTCOMES)[number]): void {
    this.#counters.requests.inc({ outcome });
  }

  #succeeded(outcome: "ok" | "refused"): void {
    this.#count(outcome);
    this.#circuit.succeeded();
    this.#lastFailure = "";
    if (this.#failingSinceMs === undefined) return;
    const { log, now } = this.#options;
    log("upstream_recovered", { seconds: (now() - this.#failingSinceMs) / 1000 });
    this.#failingSinceMs = undefined;
  }

  #failed(whose: AbortSignal, outcome: "timeout" | "error", what: string): { failure: string } {
    this.#count(outcome);
    this.#lastFailure = what;
    if (this.#circuit.failed(whose)) {
      const { log, now } = this.#options;
      this.#counters.opened.inc();
      this.#failingSinceMs ??= now();
      log("upstream_failing", { upstream: this.name, error: what });
    }
    return { failure: this.#sentence(what) };
  }
}

/** Whether an answer says that there is no such route, and not that the question is wrong. */
function isUnsupported(status: number, body: Uint8Array): boolean {
  if (status === 404 || status === 405 || status === 501) return true;
  return status === 400 && /unsupported path|remote read/i.test(textOf(body));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** What an error says: the field `error` of an answer in JSON, or its first line. */
function reasonOf(text: string): string {
  let reason = text.trim().split("\n", 1)[0] ?? "";
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === "string") reason = error;
  } catch {
    // It is a text.
  }
  return reason === "" ? "" : `: ${quote(reason.slice(0, REASON_CHARACTERS_MAX))}`;
}
