/**
 * A further HTTP listener with the routes of one protocol only, for senders that expect it at an address of its own.
 *
 * Everything else is as on the first listener: limits, errors, counters, and how it stops. `stop` resolves when the
 * requests in progress are answered, or after half of `stopTimeoutMs`.
 */
import type { RequestGate } from "../access/gate.ts";
import { createApp, type RequestLogging } from "../http/app.ts";
import type { Log } from "../log/log.ts";
import type { ErrorAnswer, Routes } from "../http/routes.ts";
import { type Address, type Listener, listen } from "../http/server.ts";
import type { Counters } from "../model/counters.ts";
import type { Service } from "../model/service.ts";
import type { ListenerTls } from "../web-config/tls-front.ts";

interface HttpServiceOptions {
  readonly routes: readonly Routes[];
  readonly addresses: readonly Address[];
  /** The flag that sets the addresses, for errors. */
  readonly flag: string;
  /** How unknown paths are answered. The default is JSON. */
  readonly answerError?: ErrorAnswer;
  /** Decides about each request. */
  readonly guard: RequestGate;
  readonly log: Log;
  readonly requestLogging: RequestLogging;
  readonly counters: Counters;
  readonly socketMode: number | undefined;
  readonly tls?: ListenerTls;
  readonly stopTimeoutMs: number;
}

export class HttpService implements Service {
  readonly #options: HttpServiceOptions;
  #listener: Listener | undefined;

  constructor(options: HttpServiceOptions) {
    this.#options = options;
  }

  get urls(): readonly string[] {
    return this.#listener?.urls ?? [];
  }

  async start(): Promise<void> {
    const { routes, answerError, addresses, flag, guard, log, counters, socketMode, tls, requestLogging } =
      this.#options;
    if (addresses.length === 0) return;
    const app = createApp(routes, { ...requestLogging, guard, log, counters, answerError });
    this.#listener = await listen(app, addresses, { log, flag, socketMode, tls });
  }

  async stop(): Promise<void> {
    const { stopTimeoutMs, log } = this.#options;
    const cut = (await this.#listener?.stop(stopTimeoutMs / 2)) ?? 0;
    this.#listener = undefined;
    if (cut > 0) log("requests_cut_off", { requests: cut });
  }
}
