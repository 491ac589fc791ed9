/** Connections that use the gateway badly: idle ones, half requests, bodies byte by byte, and half-closed ones. */
import { connect, type Socket } from "node:net";
import type { Seeded } from "./seeded.ts";

const HEAD = "POST /api/v1/push HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
const KINDS = ["idle", "half a head", "half a body", "half-closed", "slow"] as const;
const GATHER_MS_MAX = 5_000;

export class Crowd {
  readonly #port: number;
  readonly #kinds: readonly (typeof KINDS)[number][];
  readonly #sockets: Socket[] = [];
  readonly #timers: Timer[] = [];
  /** Half-closed connections, and those of them that got an answer. */
  halfClosed = 0;
  answered = 0;

  constructor(url: string, size: number, random: Seeded) {
    this.#port = Number(new URL(url).port);
    this.#kinds = Array.from({ length: size }, () => random.pick(KINDS));
  }

  /** Resolves when all are connected, or the gateway accepts no more. */
  async gather(): Promise<void> {
    const connected = this.#kinds.map((kind) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const socket = connect({ host: "127.0.0.1", port: this.#port, allowHalfOpen: true });
      this.#sockets.push(socket);
      socket.on("error", () => resolve());
      socket.on("close", () => resolve());
      let isAnswered = false;
      socket.on("data", () => {
        if (kind === "half-closed" && !isAnswered) this.answered++;
        isAnswered = true;
      });
      socket.on("connect", () => {
        this.#behave(socket, kind);
        resolve();
      });
      return promise;
    });
    await Promise.race([Promise.all(connected), Bun.sleep(GATHER_MS_MAX)]);
  }

  #behave(socket: Socket, kind: (typeof KINDS)[number]): void {
    switch (kind) {
      case "idle":
        return;
      case "half a head":
        socket.write(HEAD.slice(0, 40));
        return;
      case "half a body":
        socket.write(`${HEAD}Content-Length: 1000\r\n\r\n[{"metric_name"`);
        return;
      case "half-closed":
        this.halfClosed++;
        socket.end("GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return;
      case "slow":
        socket.write(`${HEAD}Content-Length: 1000\r\n\r\n`);
        this.#timers.push(setInterval(() => socket.writable && socket.write(" "), 20));
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
  }
}
