/** Connections that the front of a TLS listener does not pass on, and the certificates that it asks clients for. */
import { describe, expect, test } from "bun:test";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import { connect, createSecureContext } from "node:tls";
import { X509Certificate } from "node:crypto";
import { alternativeNames } from "../../src/web-config/client-certificates.ts";
import { TlsFront } from "../../src/web-config/tls-front.ts";
import type { ClientAuth } from "../../src/web-config/web-config.ts";
import { type MadeCertificate, makeCertificate } from "./certificate-maker.ts";

const server = makeCertificate({ name: "server" });
const clientCa = makeCertificate({ name: "client-ca" });
const issued = (options: Parameters<typeof makeCertificate>[0] = {}) =>
  makeCertificate({ name: "client", issuer: clientCa, ...options });
const known = issued({
  sans: ["DNS:worker.example", "email:a@b.c", "IP:10.0.0.1", "IP:2001:db8::5", "URI:spiffe://x/y"],
});
const expired = issued({ fromMs: Date.now() - 2e9, toMs: Date.now() - 1e9 });
const stranger = makeCertificate({ name: "client", sans: ["DNS:worker.example"] });

interface Rules {
  readonly clientAuth?: ClientAuth;
  readonly allowedSans?: readonly string[];
}

/** Listens, and answers "served" to each connection that is passed on. */
async function front({ clientAuth = "none", allowedSans }: Rules = {}, handshakeMs?: number) {
  const faults: string[] = [];
  const context = createSecureContext({ cert: server.cert, key: server.key, ca: clientCa.cert });
  const version = { context, clientAuth, allowedSans, certificate: new X509Certificate(server.cert) };
  const listening = new TlsFront({
    version: () => version,
    protocols: ["http/1.1"],
    onConnection: (socket) => socket.end("served"),
    onFault: (cause, reason) => void faults.push(`${cause}: ${reason}`),
    handshakeMs,
  });
  await listening.listen({ hostname: "127.0.0.1", port: 0 });
  return { listening, faults };
}

/** What a client reads until the connection is closed. Empty if it is not served. */
function ask(
  port: number,
  client: MadeCertificate | undefined,
  maxVersion: "TLSv1.2" | "TLSv1.3",
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({
    host: "127.0.0.1",
    port,
    ca: server.cert,
    maxVersion,
    ...(client === undefined ? {} : { cert: client.cert, key: client.key }),
  });
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  socket.on("error", () => undefined);
  socket.on("close", () => resolve(text));
  return promise;
}

describe("client certificates", () => {
  const clients = { none: undefined, known, expired, stranger };
  const table: [ClientAuth, readonly (keyof typeof clients)[]][] = [
    ["none", ["none", "known", "expired", "stranger"]],
    ["request", ["none", "known", "expired", "stranger"]],
    ["any", ["known", "expired", "stranger"]],
    ["verify given", ["none", "known"]],
    ["verify", ["known"]],
  ];
  test.each(table)("%s serves these clients and no others", async (clientAuth, served) => {
    const { listening, faults } = await front({ clientAuth });
    const got: string[] = [];
    for (const [name, client] of Object.entries(clients)) {
      const answers = [
        await ask(listening.port, client, "TLSv1.2"),
        await ask(listening.port, client, "TLSv1.3"),
      ];
      if (answers[0] === "served") got.push(name);
      expect([name, answers[1]]).toEqual([name, answers[0]!]);
    }
    expect(got).toEqual([...served]);
    expect(faults).toHaveLength(2 * (4 - served.length));
    expect(faults.filter((fault) => !fault.startsWith("client_certificate: "))).toEqual([]);
    listening.destroy();
    await listening.close();
  });

  test.each([
    ["worker.example", true],
    ["a@b.c", true],
    ["10.0.0.1", true],
    ["2001:db8::5", true],
    ["2001:0db8:0::5", true],
    ["spiffe://x/y", true],
    ["client", false],
    ["WORKER.example", false],
    ["*.example", false],
    ["DNS:worker.example", false],
  ])("client_allowed_sans: %s is a name of the client: %p", async (san, isServed) => {
    const { listening, faults } = await front({ clientAuth: "verify", allowedSans: ["other", san] });
    expect(await ask(listening.port, known, "TLSv1.3")).toBe(isServed ? "served" : "");
    expect(faults).toEqual(
      isServed
        ? []
        : ["client_certificate: the certificate of the client has none of the names of client_allowed_sans"],
    );
    listening.destroy();
    await listening.close();
  });

  test("a name with a comma is one name", () => {
    const names = (...sans: string[]) => {
      const { subjectAltName = "" } = new X509Certificate(issued({ sans }).cert);
      return [...alternativeNames(subjectAltName)];
    };
    expect(names("DNS:a, DNS:worker.example")).toEqual(["a, DNS:worker.example"]);
    expect(names('URI:x:", DNS:b', "DNS:c")).toEqual(['x:", DNS:b', "c"]);
    expect(names()).toEqual([]);
  });
});

test("a connection without a handshake is closed after the time for it", async () => {
  const { listening, faults } = await front({}, 20);
  const closed = Promise.withResolvers<void>();
  const socket = connectTcp(listening.port, "127.0.0.1");
  socket.once("close", () => closed.resolve());
  socket.on("error", () => undefined);
  await closed.promise;
  expect(faults).toEqual(["timeout: the handshake was not done after 20 ms"]);
  await listening.close();
});

test("a client of HTTP without TLS is answered in plain text, and counted with a cause of its own", async () => {
  const { listening, faults } = await front();
  const answer = Promise.withResolvers<string>();
  const socket = connectTcp(listening.port, "127.0.0.1");
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  socket.once("close", () => answer.resolve(text));
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  expect(await answer.promise).toMatch(
    /^HTTP\/1\.0 400 Bad Request\r\n[\s\S]*\r\n\r\nThis address serves TLS only: use https\.\n$/,
  );
  expect(faults).toEqual(["no_tls: the client sent no TLS"]);
  await listening.close();
});

test("a handshake that arrives byte by byte is done", async () => {
  const { listening } = await front();
  // Between the client and the front.
  const slow = createServer((client) => {
    const server = connectTcp(listening.port, "127.0.0.1");
    server.setNoDelay(true);
    client.on("data", async (data: Buffer) => {
      client.pause();
      for (const byte of data.subarray(0, 40)) {
        server.write(Uint8Array.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      server.write(data.subarray(40));
      client.resume();
    });
    server.on("data", (data) => client.write(data));
    server.on("end", () => client.end());
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
  });
  await new Promise<void>((resolve) => slow.listen(0, "127.0.0.1", resolve));
  const { port } = slow.address() as AddressInfo;
  for (const version of ["TLSv1.2", "TLSv1.3"] as const)
    expect(await ask(port, undefined, version)).toBe("served");
  slow.close();
  await listening.close();
});

test("a stop cuts connections without a handshake, and waits for the others", async () => {
  const { listening, faults } = await front();
  const socket = connectTcp(listening.port, "127.0.0.1");
  const closed = Promise.withResolvers<void>();
  socket.once("close", () => closed.resolve());
  socket.on("error", () => undefined);
  // A later connection was accepted, so the first one was too.
  expect(await ask(listening.port, undefined, "TLSv1.3")).toBe("served");
  await listening.close();
  await closed.promise;
  expect(faults).toEqual([]);
});
