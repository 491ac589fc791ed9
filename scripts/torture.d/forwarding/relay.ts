/**
 * A server between a gateway and a destination, whose address stays the same while the destination is killed and started
 * again. It can lose answers, and says when a request passes, so that a kill can hit any stage of a request.
 */
import type { Seeded } from "../seeded.ts";

/** Where a request is. */
export type Stage = "arrived" | "stored";

export class Relay {
  readonly #server: Bun.Server<undefined>;
  /** The destination. Undefined while it is away. */
  target: string | undefined;
  /** How many of the next answers are lost. */
  lost = 0;
  /** Called for each request. */
  onRequest: (stage: Stage) => void = () => {};
  requests = 0;
  /** Called with each request that the destination took, whether its answer is lost or not, and when it got the request. */
  onTaken: (body: ArrayBuffer, sentMs: number) => void = () => {};
  /** Requests that the destination took, and whose answer was lost. */
  repeated = 0;

  /** @param random delays requests now and then, so that answers come in another order */
  constructor(random: Seeded) {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 60,
      fetch: async (request) => {
        this.requests++;
        const body = await request.arrayBuffer();
        this.onRequest("arrived");
        if (random.chance(0.1)) await Bun.sleep(random.below(200));
        const { target } = this;
        if (target === undefined) return new Response("away", { status: 502 });
        const headers = new Headers(request.headers);
        headers.delete("host");
        try {
          const sentMs = performance.now();
          const { pathname, search } = new URL(request.url);
          const answer = await fetch(target + pathname + search, { method: "POST", headers, body });
          const text = await answer.text();
          if (answer.ok) this.onTaken(body, sentMs);
          this.onRequest("stored");
          if (this.lost > 0 && answer.ok) {
            this.lost--;
            this.repeated++;
            return new Response("lost", { status: 502 });
          }
          return new Response(answer.status === 204 ? null : text, {
            status: answer.status,
            headers: answer.headers,
          });
        } catch {
          return new Response("away", { status: 502 });
        }
      },
    });
  }

  get url(): string {
    return this.#server.url.origin;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}
