/**
 * The services that receive datagrams, over real sockets: nothing is lost without a count, whatever fills up. Ingest is
 * a function of the test, because it decides when a push ends.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCounters } from "../../src/model/counters.ts";
import { Busy } from "../../src/model/errors.ts";
import type { Batch } from "../../src/model/sample.ts";
import { DatagramService } from "../../src/receive/datagram-service.ts";
import { type TextDecoder, TextIntake } from "../../src/receive/text-intake.ts";
import { BatchBuilder } from "../../src/wire/batch-builder.ts";
import { ipBytes, procAddress } from "../../src/wire/sockets/datagram-socket.ts";
import { openPortableUdpSocket } from "../../src/wire/sockets/portable-udp-socket.ts";
import {
  DATAGRAM_BYTES_MAX,
  SEGMENT_BYTES,
  WaitingDatagrams,
} from "../../src/wire/sockets/waiting-datagrams.ts";
import { sendUnixDatagrams } from "../unix-datagram-sender.ts";
import { until } from "../until.ts";

const MiB = 1_048_576;
const ACK = {
  accepted: 1,
  duplicates: 0,
  exemplars: 0,
  rejected: [],
  rejectedCount: 0,
  durability: "committed",
} as const;

/** Decodes each datagram to one sample whose value is the datagram's length. */
function lengths(): TextDecoder {
  const builder = new BatchBuilder("statsd");
  return {
    isFull: false,
    decode({ end, length }, from) {
      const head = builder.addHead({ metric: "length", kind: "observation", labels: new Map() });
      for (let index = from; index < length; index++)
        builder.add(head, Number.NaN, end[index]! - (index === 0 ? 0 : end[index - 1]!), index);
      return length;
    },
    take: () => ({ batch: builder.take() }),
  };
}

interface Started {
  readonly service: DatagramService;
  readonly url: string;
  readonly values: number[];
  readonly logged: string[];
  readonly faults: unknown[];
  /** The dropped datagrams by cause, and the rejected samples. */
  dropped(): Promise<Record<string, number>>;
}

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(
  address: string,
  {
    push = () => Promise.resolve(),
    bufferBytes = MiB,
    waitingBytesMax = MiB,
    stopTimeoutMs = 2_000,
  }: {
    push?: (batch: Batch) => Promise<unknown>;
    bufferBytes?: number;
    waitingBytesMax?: number;
    stopTimeoutMs?: number;
  } = {},
): Promise<Started> {
  const counters = createCounters();
  const [values, logged, faults]: [number[], string[], unknown[]] = [[], [], []];
  const [hostname = "", port = ""] = address.split(/:(?=\d+$)/);
  const intake = new TextIntake({
    protocol: "statsd",
    decoder: lengths(),
    ingest: {
      async push(batch) {
        await push(batch);
        values.push(...batch.value.subarray(0, batch.length));
        return ACK;
      },
    },
    settings: { datagramWaitingBytesMax: waitingBytesMax, stopTimeoutMs },
    counters,
    log: (event, fields) => void logged.push(`${event} ${JSON.stringify(fields)}`),
    now: Date.now,
  });
  const service = new DatagramService({
    protocol: "statsd",
    addresses: [address.startsWith("unix:") ? { path: address.slice(5) } : { hostname, port: Number(port) }],
    intake,
    bufferBytes,
    counters,
  });
  await service.start((error) => void faults.push(error));
  closing.push(() => service.stop());
  return {
    service,
    url: service.urls[0]!,
    values,
    logged,
    faults,
    async dropped() {
      const found = [await counters.datagramsDropped.get(), await counters.samplesRejected.get()];
      return Object.fromEntries(
        found.flatMap((counter) =>
          counter.values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels.cause, value]),
        ),
      );
    },
  };
}

/** Sends to `udp://127.0.0.1:PORT`. The kernel has all datagrams when it resolves. */
async function sendUdp(url: string, datagrams: readonly (string | Uint8Array)[]): Promise<void> {
  const [, host = "", port] = /^udp:\/\/\[?([^\]]*)\]?:(\d+)$/.exec(url)!;
  const socket = await Bun.udpSocket({ hostname: host });
  for (const datagram of datagrams) socket.send(datagram, Number(port), host);
  socket.close();
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "weir-datagrams-"));
  closing.push(() => rmSync(path, { recursive: true }));
  return path;
}

describe("a UDP socket", () => {
  test("passes on every datagram of both families before it stops", async () => {
    for (const address of ["127.0.0.1:0", "::1:0"]) {
      const { service, url, values, dropped } = await start(address);
      const datagrams = Array.from({ length: 300 }, (_, index) => "x".repeat(index));
      await sendUdp(url, datagrams);
      await service.stop();
      expect(values).toEqual(datagrams.map(({ length }) => length));
      expect(await dropped()).toEqual({});
      expect(service.urls).toEqual([]);
    }
  });

  test("counts the datagrams that the kernel drops because the receive buffer is full", async () => {
    const { service, url, values, logged, dropped } = await start("127.0.0.1:0", { bufferBytes: 4096 });
    // In one turn of the event loop, so that none is read meanwhile.
    await sendUdp(
      url,
      Array.from({ length: 2_000 }, () => "hits:1|c"),
    );
    await service.stop();
    expect(values.length).toBeLessThan(2_000);
    expect(await dropped()).toEqual({ receive_buffer: 2_000 - values.length });
    expect(logged).toEqual([
      `datagrams_lost {"protocol":"statsd","causes":"receive_buffer=${2_000 - values.length}","datagramBufferBytes":4096}`,
    ]);
  });

  test("rejects an address that is in use, and one that this machine does not have", async () => {
    const { url } = await start("127.0.0.1:0");
    const used = url.replace("udp://", "");
    expect(start(used)).rejects.toThrow(`Cannot receive on ${url}: another process receives there.`);
    expect(start("192.0.2.1:8125")).rejects.toThrow(
      "Cannot receive on udp://192.0.2.1:8125: this machine has no such address.",
    );
  });

  test("is found in the kernel's table, whose addresses are words of a little-endian machine", () => {
    expect(procAddress("127.0.0.1", 8125)).toBe("0100007F:1FBD");
    expect(procAddress("::1", 8125)).toBe("00000000000000000000000001000000:1FBD");
    expect(procAddress("fe80::1234:5678:9abc:def0", 80)).toBe("000080FE0000000078563412F0DEBC9A:0050");
    expect(procAddress("::", 0)).toBe(`${"0".repeat(32)}:0000`);
    expect(ipBytes("::ffff:192.0.2.1")).toEqual([
      ...Array.from({ length: 10 }, () => 0),
      255,
      255,
      192,
      0,
      2,
      1,
    ]);
  });
});

test("a UDP socket of node:dgram, for other systems, passes on every datagram before it is closed", async () => {
  for (const ip of ["127.0.0.1", "::1"]) {
    const lengthsFound: number[] = [];
    const socket = await openPortableUdpSocket(ip, 0, MiB, {
      onDatagram: (bytes, from, length) => void lengthsFound.push(length + from + bytes.length),
      onFault(error) {
        throw error;
      },
    });
    await sendUdp(
      socket.url,
      Array.from({ length: 100 }, (_, index) => "x".repeat(index)),
    );
    await socket.readRest();
    socket.close();
    expect(lengthsFound).toEqual(Array.from({ length: 100 }, (_, index) => 2 * index));
  }
});

describe.if(process.platform === "linux")("a Unix datagram socket", () => {
  test("passes on every datagram, also after an empty one, and removes its file", async () => {
    const path = join(folder(), "statsd.sock");
    const { service, url, values } = await start(`unix:${path}`);
    expect(url).toBe(`unix:${path}`);
    const datagrams = ["a:1|c", "", "b:12|c", "", "", "c:123|c"];
    for (const datagram of datagrams) sendUnixDatagrams(path, [datagram]);
    await until("the last datagram", () => values.includes(7));
    expect(values.filter((length) => length > 0)).toEqual([5, 6, 7]);
    await service.stop();
    expect(existsSync(path)).toBe(false);
    expect(() => sendUnixDatagrams(path, ["d:1|c"])).toThrow("nobody receives");
  });

  test("replaces the file of a process that was killed, and no other file", async () => {
    const path = join(folder(), "statsd.sock");
    const module = join(import.meta.dir, "../../src/wire/sockets/datagram-socket.ts");
    const script = `const { openDatagramSocket } = await import(${JSON.stringify(module)});
      await openDatagramSocket({ path: ${JSON.stringify(path)} }, 1, { onDatagram() {}, onFault() {} });
      process.kill(process.pid, "SIGKILL");`;
    await Bun.spawn([process.execPath, "-e", script]).exited;
    expect(existsSync(path)).toBe(true);
    const { values } = await start(`unix:${path}`);
    sendUnixDatagrams(path, ["hits:1|c"]);
    await until("the datagram", () => values.length === 1);
    expect(start(`unix:${path}`)).rejects.toThrow(
      `Cannot receive on unix:${path}: another process receives there.`,
    );
    const file = join(folder(), "file");
    writeFileSync(file, "mine");
    expect(start(`unix:${file}`)).rejects.toThrow("the path exists and is not a socket.");
    expect(start(`unix:${file}/x`)).rejects.toThrow(`Cannot receive on unix:${file}/x`);
    expect(start(`unix:/nowhere/x`)).rejects.toThrow("its folder does not exist.");
    expect(start(`unix:/${"x".repeat(107)}`)).rejects.toThrow(
      "the path has 108 bytes, at most 107 are accepted.",
    );
  });

  test("rejects a datagram that is larger than UDP allows, and counts it", async () => {
    const path = join(folder(), "statsd.sock");
    const { service, values, dropped } = await start(`unix:${path}`);
    sendUnixDatagrams(path, ["x".repeat(DATAGRAM_BYTES_MAX + 1), "x".repeat(DATAGRAM_BYTES_MAX)]);
    await service.stop();
    expect(values).toEqual([DATAGRAM_BYTES_MAX]);
    expect(await dropped()).toEqual({ too_large: 1 });
  });
});

describe("ingest that is", () => {
  test("slow makes datagrams wait, up to a bound, and the others are counted", async () => {
    const entered = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const { service, url, values, dropped } = await start("127.0.0.1:0", {
      bufferBytes: 16 * MiB,
      push: async () => {
        entered.resolve();
        await released.promise;
      },
    });
    await sendUdp(url, ["first"]);
    await entered.promise;
    for (let each = 0; each < 20; each++) {
      await sendUdp(url, [new Uint8Array(60_000)]);
      await Bun.sleep(1);
    }
    const stopped = service.stop();
    released.resolve();
    await stopped;
    // A segment of 1 MiB has room for 17 datagrams of 60,000 bytes.
    expect(values).toEqual([5, ...Array.from({ length: 17 }, () => 60_000)]);
    expect(await dropped()).toEqual({ waiting: 3 });
  });

  test("full for a moment gets the batch again", async () => {
    let pushes = 0;
    const { service, url, values, faults, dropped } = await start("127.0.0.1:0", {
      push: () => (++pushes <= 2 ? Promise.reject(new Busy("the queue is full")) : Promise.resolve()),
    });
    await sendUdp(url, ["a", "bb"]);
    await until("the batch to be stored", () => values.length === 2);
    await service.stop();
    expect([pushes, values, faults, await dropped()]).toEqual([3, [1, 2], [], {}]);
  });

  test("full until the stop loses the batch, which is counted", async () => {
    const { service, url, values, faults, logged, dropped } = await start("127.0.0.1:0", {
      push: () => Promise.reject(new Busy("the queue is full")),
    });
    await sendUdp(url, ["a", "bb"]);
    await service.stop();
    expect(values).toEqual([]);
    expect(faults).toEqual([]);
    expect(await dropped()).toEqual({ not_stored: 2 });
    expect(logged).toEqual(['samples_not_stored {"protocol":"statsd","count":2}']);
  });

  test("slow until the time for the stop is over loses what waits, which is counted", async () => {
    const entered = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const { service, url, values, dropped } = await start("127.0.0.1:0", {
      stopTimeoutMs: 0,
      push: async () => {
        entered.resolve();
        await released.promise;
      },
    });
    await sendUdp(url, ["first"]);
    await entered.promise;
    await sendUdp(url, ["second", "third"]);
    const stopped = service.stop();
    released.resolve();
    await stopped;
    expect([values, await dropped()]).toEqual([[5], { stopped: 2 }]);
  });

  test("broken loses one batch, and the next is stored", async () => {
    let pushes = 0;
    const { service, url, values, faults, dropped } = await start("127.0.0.1:0", {
      push: () => (++pushes === 1 ? Promise.reject(new Error("a fault")) : Promise.resolve()),
    });
    await sendUdp(url, ["a"]);
    await until("the fault", () => faults.length === 1);
    await sendUdp(url, ["bb"]);
    await service.stop();
    expect([values, await dropped()]).toEqual([[2], { not_stored: 1 }]);
  });
});

describe("waiting datagrams", () => {
  test("keep their bytes, times and order over segments, within the bound", () => {
    const waiting = new WaitingDatagrams(2 * SEGMENT_BYTES);
    const added = [];
    for (let each = 0; each < 100; each++)
      added.push(waiting.add(Buffer.alloc(60_000, each), 5_000, 50_000, each * 10));
    // 20 of 50,000 bytes fill a segment.
    expect(added.filter(Boolean).length).toBe(40);
    expect(waiting.isFull).toBe(true);
    const found = [];
    for (let segment = waiting.take(); segment !== undefined; segment = waiting.take()) {
      for (let each = 0; each < segment.length; each++)
        found.push([segment.bytes[segment.end[each]! - 1], segment.arrivedUs[each]]);
      waiting.release(segment);
    }
    expect(found).toEqual(Array.from({ length: 40 }, (_, each) => [each, each * 10]));
    expect(waiting.add(Buffer.from("x"), 0, 1, 1)).toBe(true);
  });
});
