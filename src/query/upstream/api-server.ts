/**
 * Requests to another server with Prometheus's API: with its credentials, within limits of time and size, and none while it does
 * not answer. Every failure is one sentence that names the server, and has no secret.
 */
import { quote } from "../../model/errors.ts";
import type { DestinationServer } from "../../model/forwarding/destination.ts";
import { BodyOverLimit, connectionFault, readLimitedBody, SecretFault } from "../../wire/outgoing-request.ts";
import { serverRequest } from "../../wire/server-request.ts";
import { Circuit } from "./circuit.ts";
import type { ApiRequest } from "./sample-requests.ts";

/** How a request ended: with an answer, with a status that says it was wrong, too late, without an answer, or not sent. */
export const OUTCOMES = ["ok", "refused", "timeout", "error", "skipped"] as const;
export type ApiOutcome = (typeof OUTCOMES)[number];

export interface ApiServerOptions {
  readonly settings: DestinationServer;
  /** The server in sentences, such as `the upstream http://10.0.0.1:9090`. */
  readonly who: string;
  readonly now: () => number;
  readonly onOutcome: (outcome: ApiOutcome) => void;
  readonly onAnswer?: (bytes: number) => void;
  /** Called at the end of each request that was sent. */
  readonly onEnd?: (seconds: number) => void;
  /** Called when it is not asked any more, because it has failed. */
  readonly onFailing?: (error: string) => void;
  /** Called at the first answer after that. */
  readonly onRecovered?: (failedForMs: number) => void;
}

/** An answer of the server, or why there is none. */
export type ApiAnswer = { readonly status: number; readonly body: Uint8Array<ArrayBuffer> } | ApiFailure;

export interface ApiFailure {
  readonly failure: string;
  /** Whether the server answers, and says that the request is wrong. */
  readonly isRefusal?: boolean;
}

const REASON_CHARACTERS_MAX = 200;

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #circuit: Circuit;
  #lastFailure = "";
  #failingSinceMs: number | undefined;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#circuit = new Circuit(options.now);
  }

  /** Whether it is not asked at the moment, because it has failed. */
  get isPaused(): boolean {
    return this.#circuit.isOpen;
  }

  /** Why the last request failed. Empty if it did not. */
  get lastFailure(): string {
    return this.#lastFailure;
  }

  /** The value of an answer in JSON. */
  async json(
    request: ApiRequest,
    signal: AbortSignal,
    bytesMax: number,
  ): Promise<{ readonly value: unknown; readonly bytes: number } | ApiFailure> {
    const answer = await this.request(request, signal, bytesMax);
    if ("failure" in answer) return answer;
    if (answer.status !== 200) return this.refused(answer);
    try {
      return { value: JSON.parse(textOf(answer.body)), bytes: answer.body.length };
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
    bytesMax: number,
  ): Promise<ApiAnswer> {
    if (this.#circuit.isOpen) {
      this.#options.onOutcome("skipped");
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
      this.#options.onAnswer?.(bytes.length);
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
      this.#options.onEnd?.((performance.now() - begin) / 1000);
    }
  }

  /** The failure of an answer whose status is not 200. */
  refused({ status, body }: { status: number; body: Uint8Array }): ApiFailure & { readonly isRefusal: true } {
    return { failure: this.#sentence(`answered ${status}${reasonOf(textOf(body))}`), isRefusal: true };
  }

  #sentence(what: string): string {
    return `${this.#options.who} ${what}`;
  }

  #succeeded(outcome: "ok" | "refused"): void {
    const { now, onOutcome, onRecovered } = this.#options;
    onOutcome(outcome);
    this.#circuit.succeeded();
    this.#lastFailure = "";
    if (this.#failingSinceMs === undefined) return;
    onRecovered?.(now() - this.#failingSinceMs);
    this.#failingSinceMs = undefined;
  }

  #failed(whose: AbortSignal, outcome: "timeout" | "error", what: string): ApiFailure {
    const { now, onOutcome, onFailing } = this.#options;
    onOutcome(outcome);
    this.#lastFailure = what;
    if (this.#circuit.failed(whose)) {
      this.#failingSinceMs ??= now();
      onFailing?.(what);
    }
    return { failure: this.#sentence(what) };
  }
}

export function textOf(bytes: Uint8Array): string {
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
