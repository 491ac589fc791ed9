/** A receiver on loopback that a test tells how to answer. */

export interface ReceivedRequest {
  readonly path: string;
  readonly headers: Headers;
  readonly body: unknown;
}

export class HttpReceiver {
  readonly received: ReceivedRequest[] = [];
  /** How requests are answered. */
  answer: (request: ReceivedRequest) => Response | Promise<Response> = () => new Response("ok");
  #waiting: { count: number; resolve: () => void }[] = [];
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const received = {
        path: new URL(request.url).pathname,
        headers: request.headers,
        body: JSON.parse(await request.text()) as unknown,
      };
      this.received.push(received);
      for (const each of this.#waiting) if (this.received.length >= each.count) each.resolve();
      return await this.answer(received);
    },
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Resolves when it has received this many requests. */
  async until(count: number): Promise<void> {
    if (this.received.length >= count) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ count, resolve });
    await promise;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}
