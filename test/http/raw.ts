/** A client that sends exactly the given bytes, for requests that fetch() would not send. */
import net from "node:net";
import type { Listener } from "../../src/http/server.ts";

export interface RawConnection {
  write(text: string | Uint8Array): void;
  /** Resolves when the received text matches. */
  until(pattern: RegExp): Promise<string>;
  /** Resolves to all received text when the server has closed the connection. */
  closed: Promise<string>;
  destroy(): void;
}

/** Opens a connection to the first address of the listener. */
export async function connect(listener: Pick<Listener, "urls">): Promise<RawConnection> {
  const url = listener.urls[0];
  const unix = /^unix:(.+)$/.exec(url)?.[1];
  const { hostname, port } = unix === undefined ? new URL(url) : { hostname: "", port: "" };
  const socket =
    unix === undefined ? net.connect(Number(port), hostname.replace(/[[\]]/g, "")) : net.connect(unix);
  let received = "";
  const waiting = new Set<() => void>();
  const closed = Promise.withResolvers<string>();
  socket.on("data", (data) => {
    received += data;
    for (const look of waiting) look();
  });
  socket.on("error", () => {});
  socket.on("close", () => closed.resolve(received));
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return {
    write: (text) => void socket.write(text),
    until: (pattern) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const look = () => {
        if (!pattern.test(received)) return;
        waiting.delete(look);
        resolve(received);
      };
      waiting.add(look);
      look();
      void closed.promise.then(() => reject(new Error(`closed after ${JSON.stringify(received)}`)));
      return promise;
    },
    closed: closed.promise,
    destroy: () => void socket.destroy(),
  };
}

/** Sends one request whose last header is `Connection: close`, and resolves to the whole answer. */
export async function exchange(
  listener: Pick<Listener, "urls">,
  head: string,
  body: string | Uint8Array = "",
): Promise<string> {
  const connection = await connect(listener);
  connection.write(`${head}\r\nConnection: close\r\n\r\n`);
  connection.write(body);
  return await connection.closed;
}
