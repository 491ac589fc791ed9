/**
 * A sender repeats its series in one order, so a bound below their number would decode each of them again in each push. So as
 * many are remembered as exist. Blocks of labels are counted here, which decoders add for what they have not seen before.
 */
import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import snappyjs from "snappyjs";
import { SharedHeads } from "../../src/receive/decoding/sent-heads.ts";
import { LabelBlocks } from "../../src/wire/label-blocks.ts";
import { NOON_MS, openTestGateway } from "../gateway.ts";
import { attributes, encode, request } from "./otlp/otlp-messages.ts";
import { encodeV1, encodeV2 } from "./remote-write/messages.ts";

interface Size {
  readonly series: number;
  readonly perBody: number;
  /** The number of series that the gateway says that it has. */
  readonly exist: number;
}

/** Their labels have 36 MB. However few series exist, 32 MiB are remembered, and 61 MB if so many exist. */
const LARGE: Size = { series: 1_200, perBody: 50, exist: 30_000 };
const LONG = "x".repeat(30_000);
/** Events with long labels are not remembered. However few series exist, 65,536 are. */
const MANY: Size = { series: 66_000, perBody: 1_000, exist: 66_000 };

interface Protocol {
  readonly size: Size;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: (first: number) => Uint8Array<ArrayBuffer>;
}

const numbers = (first: number, { perBody } = LARGE) =>
  Array.from({ length: perBody }, (_, index) => first + index);
const text = (value: string) => new TextEncoder().encode(value);
const written = (first: number) =>
  numbers(first).map((n) => ({
    labels: { __name__: "m", n: `${n}${LONG}` },
    samples: [{ value: n, timestamp: NOON_MS }],
  }));
const remoteWrite = (type: string, body: (first: number) => Buffer): Protocol => ({
  size: LARGE,
  path: "/api/v1/write",
  headers: { "content-encoding": "snappy", "content-type": type },
  body: (first) => new Uint8Array(snappyjs.compress(body(first))),
});

const PROTOCOLS: Record<string, Protocol> = {
  "remote_write 1.0": remoteWrite("application/x-protobuf", (first) => encodeV1(written(first))),
  "remote_write 2.0": remoteWrite("application/x-protobuf;proto=io.prometheus.write.v2.Request", (first) =>
    encodeV2(written(first)),
  ),
  events: {
    size: MANY,
    path: "/api/v1/push",
    headers: { "content-type": "application/json" },
    body: (first) =>
      text(
        JSON.stringify(
          numbers(first, MANY).map((n) => ({
            "@timestamp": NOON_MS,
            metric_name: "m",
            type: "gauge",
            value: n,
            tags: { n: `${n}` },
          })),
        ),
      ),
  },
  influx: {
    size: LARGE,
    path: "/write?precision=ms",
    headers: {},
    body: (first) =>
      text(
        numbers(first)
          .map((n) => `m,n=${n}${LONG} value=${n} ${NOON_MS}`)
          .join("\n"),
      ),
  },
  otlp: {
    size: LARGE,
    path: "/v1/metrics",
    headers: { "content-type": "application/x-protobuf" },
    body: (first) => {
      const dataPoints = numbers(first).map((n) => ({
        attributes: attributes({ n: `${n}${LONG}` }),
        timeUnixNano: `${NOON_MS}000000`,
        asDouble: n,
      }));
      return new Uint8Array(encode(request([{ name: "m", gauge: { dataPoints } }], { "service.name": "s" })));
    },
  },
};

/** Opens a gateway that stores nothing, and says that it has some number of series. */
async function open(decodeWorkers: number) {
  const gateway = await openTestGateway(`--decode-workers=${decodeWorkers}`, "--tag-value-bytes-max=40000");
  const { ingest, registry } = gateway.gateway;
  const push = spyOn(ingest, "push").mockImplementation(async ({ length }) => ({
    accepted: length,
    duplicates: 0,
    exemplars: 0,
    rejected: [],
    rejectedCount: 0,
    durability: "committed",
  }));
  let series = 0;
  Object.defineProperty(registry, "seriesCount", { get: () => series });
  return {
    gateway,
    exist(count: number) {
      series = count;
    },
    async push({ path, headers }: Protocol, bodies: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
      for (const body of bodies) {
        const response = await gateway.fetch(path, { method: "POST", headers, body });
        if (!response.ok) throw new Error(await response.text());
      }
      push.mockClear();
    },
  };
}

/** Counts the calls of a method until a promise is settled. A spy would keep the arguments of each. */
function countOf<Name extends string>(
  prototype: Record<Name, (...args: never[]) => unknown>,
  name: Name,
): ((until: Promise<void>) => Promise<number>) & { restore(): void } {
  const original = prototype[name];
  let calls = 0;
  prototype[name] = function (this: unknown, ...args: never[]) {
    calls++;
    return original.apply(this, args);
  };
  const count = async (until: Promise<void>) => {
    calls = 0;
    await until;
    return calls;
  };
  return Object.assign(count, {
    restore() {
      prototype[name] = original;
    },
  });
}

/** The bodies with all series, and two with others. The first one is for names, which decoders know from then on. */
function bodiesOf({ size: { series, perBody }, body }: Protocol) {
  const bodies = Array.from({ length: series / perBody + 2 }, (_, index) => body(index * perBody));
  const [first, others] = bodies.splice(-2);
  return { first: [first!], bodies, others: [others!] };
}

describe("a decoder of the first thread remembers as many series as exist:", () => {
  let opened: Awaited<ReturnType<typeof open>>;
  beforeAll(async () => {
    opened = await open(0);
  });
  afterAll(async () => await opened.gateway.close());

  test.each(Object.entries(PROTOCOLS))("%s", async (_, protocol) => {
    const { first, bodies, others } = bodiesOf(protocol);
    const added = countOf(LabelBlocks.prototype, "add");
    try {
      opened.exist(protocol.size.exist);
      await opened.push(protocol, first);
      expect(await added(opened.push(protocol, bodies))).toBeGreaterThanOrEqual(protocol.size.series);
      expect(await added(opened.push(protocol, bodies))).toBe(0);
      // Otherwise some are forgotten.
      opened.exist(0);
      await opened.push(protocol, others);
      expect(await added(opened.push(protocol, bodies))).toBeGreaterThan(0);
    } finally {
      added.restore();
    }
  });
});

describe("a thread that decodes, too, and sends no series again:", () => {
  let opened: Awaited<ReturnType<typeof open>>;
  beforeAll(async () => {
    opened = await open(1);
  });
  afterAll(async () => await opened.gateway.close());

  test.each(["remote_write 1.0", "events"])("%s", async (name) => {
    const protocol = PROTOCOLS[name]!;
    const { first, bodies } = bodiesOf(protocol);
    const received = countOf(SharedHeads.prototype, "of");
    try {
      opened.exist(protocol.size.exist);
      await opened.push(protocol, first);
      expect(await received(opened.push(protocol, bodies))).toBe(protocol.size.series);
      expect(await received(opened.push(protocol, bodies))).toBe(0);
    } finally {
      received.restore();
    }
  });
});
