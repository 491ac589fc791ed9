/** Graphite on the real gateway, over TCP and UDP: read back by SQL and on /metrics. */
import { createConnection } from "node:net";
import { afterEach, describe, expect, test } from "bun:test";
import { SettingError } from "../../../src/config/setting-error.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { until } from "../../until.ts";

let gateway: TestGateway;
afterEach(() => gateway.close());

const LISTEN = "--graphite-listen=127.0.0.1:0";
const NOON_S = NOON_MS / 1000;

/** Starts the services. Returns the port, which is the same for TCP and UDP. */
async function listen(): Promise<number> {
  for (const service of gateway.gateway.services) {
    await service.start((error) => {
      throw error;
    });
  }
  const urls = gateway.gateway.services.flatMap(({ urls = [] }) => urls);
  const ports = urls.map((url) => Number(/\d+$/.exec(url)![0]));
  expect(urls.map((url) => url.replace(/\d+$/, ""))).toEqual(["tcp://127.0.0.1:", "udp://127.0.0.1:"]);
  expect(ports[0]).toBe(ports[1]!);
  return ports[0]!;
}

async function stop(): Promise<void> {
  for (const service of gateway.gateway.services) await service.stop();
}

async function accepted(): Promise<string | undefined> {
  const [, text] = await gateway.send("GET /metrics");
  return /^weir_samples_accepted_total\{protocol="graphite"\} (\d+)$/m.exec(text)?.[1];
}

/** Sends over one TCP connection, which is open until the lines are stored. */
async function sendTcp(port: number, text: string, samples: number): Promise<void> {
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  socket.write(text);
  await until("the samples", async () => (await accepted()) === `${samples}`);
  socket.end();
}

describe("lines", () => {
  test("over TCP and UDP are gauges with the tags of their paths", async () => {
    gateway = await openTestGateway(
      LISTEN,
      "--graphite-templates=servers.* .host.measurement*",
      "--graphite-templates=collectd.* .host.measurement.measurement*",
    );
    const port = await listen();
    await sendTcp(port, `servers.w1.cpu.load 1.5 ${NOON_S - 60}\nservers.w1.cpu.load 2 ${NOON_S}\n`, 2);
    const udp = await Bun.udpSocket({ hostname: "127.0.0.1" });
    udp.send(`disk.used;host=w2;mount=/ 5 ${NOON_S}\ncollectd.w3.memory.free 7 -1`, port, "127.0.0.1");
    udp.close();
    await stop();
    expect(await accepted()).toBe("4");
    expect(await gateway.exposed()).toEqual([
      'cpu_load{host="w1",instance=""} 2',
      'disk_used{host="w2",instance="",mount="/"} 5',
      'memory_free{host="w3",instance=""} 7',
    ]);
    const response = await gateway.fetch(
      `/api/v1/sql?format=json&q=${encodeURIComponent("SELECT host, value, epoch(ts)::BIGINT AS s FROM cpu_load ORDER BY ts")}`,
    );
    expect(((await response.json()) as { rows: unknown }).rows).toEqual([
      { host: "w1", value: 1.5, s: NOON_S - 60 },
      { host: "w1", value: 2, s: NOON_S },
    ]);
  });

  test("that are rejected are counted by cause and stored with their reason", async () => {
    gateway = await openTestGateway(LISTEN);
    const port = await listen();
    const lines = [
      `load 1 ${NOON_S}`,
      `load 1 ${NOON_S}`,
      `load 2 ${NOON_S}`,
      "load NaN 1",
      "load 1 0",
      `load 1 ${NOON_MS}`,
      "x".repeat(20_000),
      `after 1 ${NOON_S}`,
      "",
    ];
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.write(lines.join("\n"));
    socket.write("cut 1");
    await until("the samples", async () => (await accepted()) === "2");
    socket.end();
    await stop();
    const [, text] = await gateway.send("GET /metrics");
    expect(text.split("\n").filter((line) => line.startsWith("weir_samples_rejected"))).toEqual([
      'weir_samples_rejected_total{cause="line",protocol="graphite"} 1',
      'weir_samples_rejected_total{cause="repeated",protocol="graphite"} 1',
      'weir_samples_rejected_total{cause="syntax",protocol="graphite"} 1',
      'weir_samples_rejected_total{cause="timestamp",protocol="graphite"} 2',
      'weir_samples_rejected_total{cause="value",protocol="graphite"} 1',
    ]);
    const reasons = await gateway.query("SELECT reason FROM rejected ORDER BY reason");
    expect(reasons.map(({ reason }) => reason)).toEqual([
      'the connection ended after "cut 1", expected the end of the line',
      expect.stringMatching(/^the line has (more than 16384|20000) bytes, expected at most 16384$/),
      'the value is "NaN", which Graphite does not store',
      expect.stringMatching(/^time .* is in the future.*this one looks like milliseconds/),
      expect.stringMatching(/^time 1970-01-01T00:00:00.000Z is before retention/),
      'value 2 of "load" differs from 1, which the same request has for this series and time before it',
    ]);
  });
});

test("a web page cannot store lines by a request to this port, however it is divided", async () => {
  gateway = await openTestGateway(LISTEN);
  const port = await listen();
  const line = `from.a.page 1 ${NOON_S}\n`;
  const url = `http://127.0.0.1:${port}/`;
  for (const init of [
    { method: "POST", body: line, headers: { "content-type": "text/plain" } },
    { method: "POST", body: `\n\n${line.repeat(10)}` },
  ])
    expect(await fetch(url, init).catch(() => "closed")).toBe("closed");
  expect(
    await fetch(`${url}?${"x".repeat(20_000)}`, { method: "POST", body: line }).catch(() => "closed"),
  ).toBe("closed");
  // A request in single bytes, one of another method, and the beginning of TLS, which a page can also fill.
  for (const parts of [
    [..."POST / HTTP/1.1\r\n\r\n", line],
    [`OPTIONS /a HTTP/1.1\r\n\r\n${line}`],
    [`\x16\x03\x01\x02\x00\n${line}`],
  ]) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const socket = createConnection(port, "127.0.0.1")
      .setNoDelay()
      .on("close", () => resolve());
    socket.on("error", () => undefined);
    for (const part of parts) socket.write(part, "latin1");
    await promise;
  }
  await sendTcp(port, `POST.count 1 ${NOON_S}\n`, 1);
  await stop();
  expect(await gateway.exposed()).toEqual(['POST_count{instance=""} 1']);
  const [, text] = await gateway.send("GET /metrics");
  expect(text).toContain('weir_connections_closed_total{cause="other_protocol",protocol="graphite"} 6');
  expect(await accepted()).toBe("1");
});

test("a template that is invalid stops the start, with its text", async () => {
  gateway = await openTestGateway();
  const text =
    'graphiteTemplates has "host.region", expected [FILTER] TEMPLATE [TAG=VALUE …]: no part of the template is measurement.';
  await expect(openTestGateway("--graphite-templates=host.region")).rejects.toThrow(new SettingError(text));
});
