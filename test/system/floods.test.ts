/**
 * Floods over UDP and TCP, beside a pusher of 20 events per second: datagrams of StatsD, and lines and datagrams of
 * Graphite. None delays a push. Each datagram that was sent is received, or counted as dropped, and each line over TCP is
 * stored.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { BesideAPusher, SLICE_MAX, WAIT_MAX } from "./hostile/beside-a-pusher.ts";

const NOW_S = Math.floor(Date.now() / 1_000);
/** Datagrams per system call. */
const BURST = 64;
const LISTEN = ["--statsd-listen=127.0.0.1:0", "--graphite-listen=127.0.0.1:0"];

let subject: BesideAPusher;
let statsd = 0;
let graphite = 0;
/** By protocol, the datagrams that were sent so far. */
const sent = { statsd: 0, graphite: 0 };

beforeAll(async () => {
  subject = await BesideAPusher.start(temporaryFolder(), ["--no-sampler", ...LISTEN]);
  const { text } = subject.gateway.log;
  graphite = Number(/tcp:\/\/127\.0\.0\.1:(\d+)/.exec(text)![1]);
  statsd = Number(
    text
      .matchAll(/udp:\/\/127\.0\.0\.1:(\d+)/g)
      .map(([, port]) => Number(port))
      .find((port) => port !== graphite),
  );
});
afterAll(() => subject.close());

/** The sum of a counter of the gateway over the series with a label. */
async function counted(name: string, label: string): Promise<number> {
  const text = await (await subject.fetch("/metrics")).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** Sends datagrams as fast as the kernel takes them. Resolves when each is received or dropped. */
async function datagrams(
  protocol: "statsd" | "graphite",
  count: number,
  textOf: (index: number) => string,
): Promise<void> {
  const port = { statsd, graphite }[protocol];
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1", connect: { hostname: "127.0.0.1", port } });
  for (let from = 0; from < count; from += BURST) {
    const texts = Array.from({ length: Math.min(BURST, count - from) }, (_, at) => textOf(from + at));
    sent[protocol] += socket.sendMany(texts);
    // The pusher is in this process.
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.close();
  const label = `protocol="${protocol}"`;
  await until("all datagrams", async () => {
    const received = await counted("weir_datagrams_received_total", label);
    return received + (await counted("weir_datagrams_dropped_total", label)) === sent[protocol];
  });
}

/** Sends a text over each of some connections, and closes them. */
async function connections(count: number, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  const send = async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    let from = 0;
    const write = (socket: Bun.Socket) => {
      from += socket.write(bytes.subarray(from));
      if (from === bytes.length) socket.end();
    };
    const socket = { open: write, drain: write, data() {}, close: resolve, error: resolve };
    // A connection above the limit is closed at once, perhaps before it is open here.
    await Bun.connect({ hostname: "127.0.0.1", port: graphite, socket }).catch(resolve);
    await promise;
  };
  await Promise.all(Array.from({ length: count }, send));
}

/** Rows of a metric. */
async function stored(metric: string): Promise<number> {
  const q = `SELECT count(*)::INTEGER AS count FROM ${metric}`;
  const { rows } = (await (await subject.fetch(`/api/v1/sql?${new URLSearchParams({ q })}`)).json()) as {
    rows: { count: number }[];
  };
  return rows[0]!.count;
}

const lines = (count: number, lineOf: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => lineOf(index)).join("");

describe("delay no push:", () => {
  function flood(name: string, work: () => Promise<unknown>): void {
    test(name, async () => {
      const { slice, wait } = await subject.costOf(async () => {
        await work();
        return [];
      });
      expect(slice).toBeLessThan(SLICE_MAX);
      expect(wait).toBeLessThan(WAIT_MAX);
    });
  }
  flood("100,000 datagrams of one metric", () => datagrams("statsd", 100_000, (i) => `timed:${i % 977}|ms`));
  flood("50,000 datagrams with a series of their own", () =>
    datagrams("statsd", 50_000, (i) => `tagged:1|g|#id:${i}`),
  );
  flood("2,000 datagrams of 300 lines", () => datagrams("statsd", 2_000, () => "lined:1|c\n".repeat(300)));
  flood("50,000 datagrams that are no StatsD", () => datagrams("statsd", 50_000, () => "x".repeat(100)));
  flood("datagrams of Graphite", () =>
    datagrams("graphite", 50_000, (i) => `by.udp;id=s${i % 100} ${i} ${NOW_S}\n`),
  );
  flood("4 connections with 100,000 lines each", async () => {
    await connections(
      4,
      lines(100_000, (i) => `by.tcp;id=s${i % 100} 1 ${NOW_S - Math.floor(i / 100)}\n`),
    );
    // Of equal samples one is stored.
    await until("all lines", async () => (await stored("by_tcp")) === 100_000);
  });
  flood("a line of 20 MB that never ends", () => connections(1, "x".repeat(20_000_000)));
  flood("4 connections with 100,000 lines that are no Graphite", () =>
    connections(
      4,
      lines(100_000, () => "no line\n"),
    ),
  );
  flood("1,500 connections at once", () => connections(1_500, `by.many 1 ${NOW_S}\n`));
  // From here on there is no room for further metrics.
  flood("20,000 datagrams with a metric of their own", () =>
    datagrams("statsd", 20_000, (i) => `metric_${i}:1|c`),
  );
});

test("each push was acknowledged, and each acknowledged event is stored", async () => {
  await subject.stopPushing();
  expect(subject.refused).toEqual([]);
  expect(await stored("acknowledged")).toBe(subject.acknowledged.length);
});
