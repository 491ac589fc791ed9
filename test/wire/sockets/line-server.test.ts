/** Lines over TCP: whole lines only, however they are divided, and no line is lost while there is no room. */
import { afterEach, expect, test } from "bun:test";
import { once } from "node:events";
import { createConnection } from "node:net";
import { type LineHandlers, type LineServer, openLineServer } from "../../../src/wire/sockets/line-server.ts";
import { until } from "../../until.ts";

interface Seen {
  readonly text: string[];
  readonly long: string[];
  readonly cut: string[];
  readonly closed: string[];
}

let server: LineServer;
afterEach(() => server.stop(1_000));

function start(
  options: Partial<Parameters<typeof openLineServer>[2]> = {},
  handlers: Partial<LineHandlers> = {},
  hostname = "127.0.0.1",
): Seen {
  const seen: Seen = { text: [], long: [], cut: [], closed: [] };
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
  server = openLineServer(
    hostname,
    0,
    { lineBytesMax: 100, connectionsMax: 10, idleMs: 60_000, ...options },
    {
      onLines(bytes, from, length) {
        seen.text.push(text(bytes.subarray(from, from + length)));
        return true;
      },
      room: () => Promise.resolve(),
      onLongLine: (bytes) => void seen.long.push(text(bytes)),
      onCutLine: (bytes) => void seen.cut.push(text(bytes)),
      isOtherProtocol: () => false,
      onClosed: (cause) => void seen.closed.push(cause),
      ...handlers,
    },
  );
  return seen;
}

interface Client {
  send(text: string): void;
  end(): void;
  /** Resolves when the server closed the connection. */
  readonly closed: Promise<void>;
}

async function connect(hostname = "127.0.0.1"): Promise<Client> {
  const closed = Promise.withResolvers<void>();
  const socket = createConnection(server.port, hostname);
  socket.on("close", () => closed.resolve());
  // The server may close a connection while something is sent.
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return {
    send: (text) => void socket.write(text),
    end: () => void socket.end(),
    closed: closed.promise,
  };
}

test("passes on whole lines, and the end of a line when it arrives", async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    const seen = start({}, {}, hostname);
    const client = await connect(hostname);
    client.send("a 1\nb 2\nc");
    await until("the first lines", () => seen.text.length === 1);
    client.send(" 3");
    client.send("\nd 4\n");
    await until("the last line", () => seen.text.join("").endsWith("d 4\n"));
    expect(seen.text.join("")).toBe("a 1\nb 2\nc 3\nd 4\n");
    expect(seen.text.every((each) => each.endsWith("\n"))).toBe(true);
    await server.stop(1_000);
    await client.closed;
    expect(seen).toMatchObject({ long: [], cut: [], closed: [] });
  }
});

test("skips a line that is too long, however it arrives, and goes on after it", async () => {
  const seen = start();
  const client = await connect();
  client.send("a 1\n");
  await until("the first line", () => seen.text.length === 1);
  client.send(`${"x".repeat(101)}\nb 2\n${"y".repeat(80)}`);
  await until("the second line", () => seen.text.length === 2);
  client.send("y".repeat(30));
  await until("the start of a long line", () => seen.long.length === 2);
  client.send("y".repeat(500));
  client.send(`yyy\nc 3\n${"z".repeat(100)}\n`);
  await until("the last line", () => seen.text.join("").endsWith("z\n"));
  expect(seen.text.join("")).toBe(`a 1\nb 2\nc 3\n${"z".repeat(100)}\n`);
  expect(seen.long).toEqual(["x".repeat(101), "y".repeat(110)]);
});

test("passes on no line that was cut off", async () => {
  const seen = start();
  const client = await connect();
  client.send("a 1\nb 2");
  await until("the first line", () => seen.text.length === 1);
  client.end();
  await until("the end", () => seen.cut.length === 1);
  expect([seen.text, seen.cut]).toEqual([["a 1\n"], ["b 2"]]);
});

test("reads on only when there is room, and keeps the order", async () => {
  let isFull = true;
  let refused = 0;
  let room = Promise.withResolvers<void>();
  const taken: string[] = [];
  start(
    {},
    {
      onLines(bytes, from, length) {
        if (isFull) {
          refused++;
          return false;
        }
        taken.push(Buffer.from(bytes.subarray(from, from + length)).toString());
        // Room for one piece at a time.
        isFull = true;
        room = Promise.withResolvers();
        setTimeout(() => {
          isFull = false;
          room.resolve();
        });
        return true;
      },
      room: () => room.promise,
    },
  );
  const client = await connect();
  const lines = Array.from({ length: 20_000 }, (_, index) => `path.${index} ${index}\n`).join("");
  client.send(lines);
  await until("a refusal", () => refused > 0);
  isFull = false;
  room.resolve();
  await until("all lines", () => taken.join("").length === lines.length);
  expect(taken.join("")).toBe(lines);
  expect(taken.every((each) => each.length <= 65_507)).toBe(true);
});

test("passes on what arrived before a stop", async () => {
  const seen = start();
  const client = await connect();
  client.send("a 1\n");
  await until("the connection", () => seen.text.length === 1);
  client.send("b 2\nc");
  await server.stop(1_000);
  expect([seen.text.join(""), seen.cut]).toEqual(["a 1\nb 2\n", ["c"]]);
});

test("stops in time although there is never room", async () => {
  let refused = 0;
  start(
    {},
    {
      onLines() {
        refused++;
        return false;
      },
      room: () => new Promise(() => undefined),
    },
  );
  const client = await connect();
  client.send("a 1\n");
  await until("a refusal", () => refused > 0);
  await server.stop(50);
  await client.closed;
});

test("counts connections that were closed while there was no room, whose lines are in memory", async () => {
  let refused = 0;
  let isFull = true;
  const room = Promise.withResolvers<void>();
  const seen = start(
    { connectionsMax: 2 },
    {
      onLines() {
        if (isFull) refused++;
        return !isFull;
      },
      room: () => room.promise,
    },
  );
  for (const count of [1, 2]) {
    const client = await connect();
    client.send("a 1\n");
    client.end();
    await until("a refusal", () => refused === count);
  }
  const third = await connect();
  await third.closed;
  expect(seen.closed).toEqual(["too_many"]);
  isFull = false;
  room.resolve();
});

test("closes connections that are idle, and those past the limit", async () => {
  const seen = start({ connectionsMax: 1, idleMs: 100 });
  const client = await connect();
  client.send("a 1\n");
  await until("the line", () => seen.text.length === 1);
  const second = await connect();
  await second.closed;
  expect(seen.closed).toEqual(["too_many"]);
  await client.closed;
  expect(seen.closed).toEqual(["too_many", "idle"]);
  const third = await connect();
  third.send("b 2\n");
  await until("the line of a new connection", () => seen.text.length === 2);
});

test("closes a connection of another protocol by its first bytes, and passes on nothing of it", async () => {
  const starts: string[] = [];
  const seen = start(
    {},
    {
      isOtherProtocol(bytes) {
        starts.push(Buffer.from(bytes).toString());
        return bytes[0] === "!".charCodeAt(0);
      },
    },
  );
  const other = await connect();
  other.send("!");
  other.send("another protocol\nwith lines\n");
  await other.closed;
  const short = await connect();
  short.send("a 1\n");
  await until("the line", () => seen.text.length === 1);
  // Only the first bytes decide.
  short.send("!b 2\n");
  await until("the second line", () => seen.text.length === 2);
  short.end();
  await short.closed;
  expect(seen).toEqual({ text: ["a 1\n", "!b 2\n"], long: [], cut: [], closed: ["other_protocol"] });
  expect(starts.map((each) => each.slice(0, 4))).toEqual(["!ano", "a 1\n"]);
});
