/** Listening on TCP and Unix sockets, and stopping without cutting off requests. */
import { describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createApp } from "../../src/http/app.ts";
import { createLog } from "../../src/log/log.ts";
import { Routes } from "../../src/http/routes.ts";
import { type Address, ListenError, type Listener, listen } from "../../src/http/server.ts";
import { streamResponse } from "../../src/http/stream.ts";
import { createCounters } from "../../src/model/counters.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { connect, exchange } from "./raw.ts";

const log = createLog("error");
const loopback: Address = { hostname: "127.0.0.1", port: 0 };

/** An application with a request that waits until the test continues it. */
function waitingApp() {
  const arrived = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const family = new Routes()
    .on("GET", "/quick", "none", "", () => new Response("quick"))
    .on("GET", "/wait", "none", "", async () => {
      arrived.resolve();
      await goOn.promise;
      return new Response("waited");
    })
    .on("GET", "/stream", "none", "", () =>
      streamResponse(
        new ReadableStream<Uint8Array>({
          async start(controller) {
            controller.enqueue(Buffer.from("first "));
            await goOn.promise;
            controller.enqueue(Buffer.from("last"));
            controller.close();
          },
        }),
        { "content-type": "text/plain" },
      ),
    );
  return {
    app: createApp([family], { log, counters: createCounters() }),
    arrived: arrived.promise,
    goOn: goOn.resolve,
  };
}

const port = (listener: Listener, i = 0) => Number(new URL(listener.urls[i]).port);

/** Waits until the server refuses connections. */
async function refused(listener: Listener): Promise<void> {
  for (;;) {
    const connection = await connect(listener).catch(() => undefined);
    if (connection === undefined) return;
    connection.destroy();
  }
}

describe("listening", () => {
  test("on several addresses at once, each with its URL", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "weir.sock");
    const { app } = waitingApp();
    const listener = await listen(app, [loopback, loopback, { path }], { log });
    expect(listener.urls[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(port(listener, 0)).not.toBe(port(listener, 1));
    expect(listener.urls[2]).toBe(`unix:${path}`);
    for (const url of listener.urls.slice(0, 2))
      expect(await (await fetch(`${url}/quick`)).text()).toBe("quick");
    expect(await (await fetch("http://localhost/quick", { unix: path })).text()).toBe("quick");
    expect(await listener.stop(1_000)).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  test("on an IPv6 address, where the machine has one", async () => {
    const { app } = waitingApp();
    const listener = await listen(app, [{ hostname: "::1", port: 0 }], { log }).catch((error) => error);
    if (listener instanceof ListenError) {
      expect(listener.message).toBe("Cannot listen on [::1]:0: this machine has no such address.");
      return;
    }
    expect(listener.urls[0]).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect(await (await fetch(`${listener.urls[0]}/quick`)).text()).toBe("quick");
    await listener.stop(1_000);
  });

  test("on a socket that a killed process left behind", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "weir.sock");
    const script = `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response("") }); console.log("up")`;
    const other = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    for await (const _ of other.stdout) break;
    const { app } = waitingApp();
    await expect(listen(app, [{ path }], { log })).rejects.toThrow(
      new ListenError(
        `Cannot listen on unix:${path}: another process listens there; stop it, or give --listen another address.`,
      ),
    );
    other.kill("SIGKILL");
    await other.exited;
    expect(existsSync(path)).toBe(true);
    const listener = await listen(app, [{ path }], { log });
    expect(await exchange(listener, "GET /quick HTTP/1.1\r\nHost: weir")).toEndWith("quick");
    await listener.stop(1_000);
  });

  test("fails for an address in use, a file or an unknown address with an error that names it, and leaves nothing open", async () => {
    const { app } = waitingApp();
    const first = await listen(app, [loopback], { log });
    const taken: Address = { hostname: "127.0.0.1", port: port(first) };
    const free = await listen(app, [loopback], { log });
    const freed: Address = { hostname: "127.0.0.1", port: port(free) };
    await free.stop(1_000);
    await expect(listen(app, [freed, taken], { log })).rejects.toThrow(
      new ListenError(
        `Cannot listen on 127.0.0.1:${taken.port}: another process listens there; stop it, or give --listen another address.`,
      ),
    );
    const again = await listen(app, [freed], { log });
    await again.stop(1_000);
    await first.stop(1_000);

    await expect(listen(app, [{ hostname: "192.0.2.1", port: 0 }], { log })).rejects.toThrow(
      new ListenError("Cannot listen on 192.0.2.1:0: this machine has no such address."),
    );
    const folder = temporaryFolder();
    const path = join(folder, "file");
    writeFileSync(path, "precious");
    await expect(listen(app, [{ path }], { log })).rejects.toThrow(
      new ListenError(`Cannot listen on unix:${path}: the path exists and is not a socket.`),
    );
    expect(existsSync(path)).toBe(true);
  });
});

// Bun checks its timeouts every four seconds.
test("closes an idle connection, and none that waits or streams", async () => {
  const { app, arrived, goOn } = waitingApp();
  const listener = await listen(app, [loopback], { log, idleTimeoutS: 1 });
  const open = async (path: string) => {
    const connection = await connect(listener);
    connection.write(`GET ${path} HTTP/1.1\r\nHost: weir\r\n\r\n`);
    return connection;
  };
  const [idle, waiting, streaming] = await Promise.all([open("/quick"), open("/wait"), open("/stream")]);
  await Promise.all([arrived, streaming.until(/first /)]);
  expect(await idle.closed).toEndWith("quick");
  goOn();
  expect(await waiting.until(/waited$/)).toStartWith("HTTP/1.1 200 OK");
  expect(await streaming.closed).toMatch(/last\r\n0\r\n\r\n$/);
  await listener.stop(1_000);
});

describe("stopping", () => {
  test("ends at once without requests in progress, with or without idle connections", async () => {
    const { app } = waitingApp();
    const listener = await listen(app, [loopback], { log });
    const idle = await connect(listener);
    idle.write("GET /quick HTTP/1.1\r\nHost: weir\r\n\r\n");
    await idle.until(/quick$/);
    expect(await listener.stop(60_000)).toBe(0);
    await idle.closed;
  });

  test("finishes requests and streams in progress, and accepts no new ones", async () => {
    const { app, arrived, goOn } = waitingApp();
    const listener = await listen(app, [loopback], { log });
    const old = await connect(listener);
    old.write("GET /quick HTTP/1.1\r\nHost: weir\r\n\r\n");
    await old.until(/quick$/);
    const waiting = exchange(listener, "GET /wait HTTP/1.1\r\nHost: weir");
    const streaming = await connect(listener);
    streaming.write("GET /stream HTTP/1.1\r\nHost: weir\r\n\r\n");
    await Promise.all([arrived, streaming.until(/first /)]);

    const stopped = listener.stop(60_000);
    await refused(listener);
    await old.closed;
    goOn();
    expect(await waiting).toEndWith("waited");
    expect(await streaming.until(/last\r\n0\r\n\r\n$/)).toStartWith("HTTP/1.1 200 OK");
    expect(await stopped).toBe(0);
  });

  test("does not wait for the body of a request that was already answered", async () => {
    const { app } = waitingApp();
    const listener = await listen(app, [loopback], { log });
    const sender = await connect(listener);
    sender.write("POST /quick HTTP/1.1\r\nHost: weir\r\nContent-Length: 1000000\r\n\r\nthe first of it");
    await sender.until(/^HTTP/);
    expect(await listener.stop(60_000)).toBe(0);
    await sender.closed;
  });

  test("cuts off the remaining requests after its timeout, and returns their number", async () => {
    const { app, arrived } = waitingApp();
    const listener = await listen(app, [loopback], { log });
    const waiting = exchange(listener, "GET /wait HTTP/1.1\r\nHost: weir");
    await arrived;
    expect(await listener.stop(20)).toBe(1);
    expect(await waiting).toBe("");
  });
});
