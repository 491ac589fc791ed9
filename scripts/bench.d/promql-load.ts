/**
 * The series of the PromQL benchmark, and the remote_write requests that bring them: instances that expose a
 * hundred series each (counters by route, one histogram, gauges), scraped again and again.
 *
 * A request holds one sample of each of its series, as senders have it. It is written once as a snappy block of
 * nothing but a literal, and its values and times are put in again for each scrape: ten million samples take
 * no longer to make than to send. Values come from a hash of series and scrape, so that every server gets the
 * same.
 */
import { field, type Load, varint } from "./remote-write-requests.ts";

export const SERIES_PER_INSTANCE = 100;
const ROUTES = 10;
const BOUNDS = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"];
const SENSORS = 10;
/**
 * Where counters begin: far from 0, since servers of different versions differ in how far they extrapolate what
 * came before the first sample of a series that begins near it.
 */
const FIRST_COUNT = 1_000_000;
/** Instances restart once each, at some scrape of so many, and their counters begin again. */
const SCRAPES_PER_LIFE = 700;

const HEADERS = {
  "content-encoding": "snappy",
  "content-type": "application/x-protobuf",
  "x-prometheus-remote-write-version": "0.1.0",
};

/**
 * Scrapes after which connections wait for each other. A connection that is far behind would send samples that Prometheus
 * rejects, because they are older than its newest by more than an hour.
 */
const IN_STEP = 64;

/** Sends everything to a server. Resolves to the duration of each request, when the last one was answered. */
export async function send(url: string, load: Omit<Load, "version">): Promise<number[]> {
  const requests = Array.from(
    { length: Math.ceil(load.series / load.samplesPerRequest) },
    (_, at) => new Request(load, at * load.samplesPerRequest),
  );
  const latenciesMs: number[] = [];
  const connection = async (own: readonly Request[], from: number, to: number) => {
    for (let scrape = from; scrape < to; scrape++) {
      for (const request of own) {
        const began = performance.now();
        await post(url, request.fill(load.firstMs + scrape * load.intervalMs, scrape));
        latenciesMs.push(performance.now() - began);
      }
    }
  };
  const shares = Array.from({ length: load.connections }, (_, number) =>
    requests.filter((_, at) => at % load.connections === number),
  );
  for (let from = 0; from < load.scrapes; from += IN_STEP) {
    const to = Math.min(from + IN_STEP, load.scrapes);
    await Promise.all(shares.map((own) => connection(own, from, to)));
  }
  return latenciesMs;
}

async function post(url: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  for (;;) {
    const response = await fetch(url, { method: "POST", headers: HEADERS, body });
    const text = await response.text();
    if (response.ok) return;
    if (response.status !== 429 && response.status !== 503)
      throw new Error(`A request was answered ${response.status}: ${text}`);
    await Bun.sleep(1_000 * Number(response.headers.get("retry-after") ?? 1));
  }
}

/** One request, whose samples are replaced for each scrape. */
class Request {
  readonly #first: number;
  readonly #body: Buffer<ArrayBuffer>;
  /** Where each series' value begins; its time follows. */
  readonly #places: readonly number[];
  readonly #counters: Float64Array;

  constructor({ series, samplesPerRequest, firstMs }: Omit<Load, "version">, first: number) {
    this.#first = first;
    const count = Math.min(samplesPerRequest, series - first);
    this.#counters = new Float64Array(count).fill(FIRST_COUNT);
    const time = varint(firstMs);
    // A sample: its value as field 1, fixed; its time as field 2, whose varint keeps its length for centuries.
    const sample = field(2, Buffer.concat([Buffer.from([0x09]), Buffer.alloc(8), Buffer.from([0x10]), time]));
    const parts = Array.from({ length: count }, (_, at) =>
      field(1, Buffer.concat([labelBytes(first + at), sample])),
    );
    const message = Buffer.concat(parts);
    const head = literalHead(message.length);
    let end = head.length;
    this.#places = parts.map((part) => {
      end += part.length;
      return end - time.length - 1 - 8;
    });
    const body = Buffer.from(new ArrayBuffer(head.length + message.length));
    body.set(head);
    body.set(message, head.length);
    this.#body = body;
  }

  /** The request for a scrape; scrapes come in order, and the one before is overwritten. */
  fill(ms: number, scrape: number): Uint8Array<ArrayBuffer> {
    const time = varint(ms);
    for (const [at, place] of this.#places.entries()) {
      this.#body.writeDoubleLE(this.#value(at, scrape), place);
      this.#body.set(time, place + 9);
    }
    return this.#body;
  }

  #value(at: number, scrape: number): number {
    const series = this.#first + at;
    const instance = Math.floor(series / SERIES_PER_INSTANCE);
    const kind = series % SERIES_PER_INSTANCE;
    const bucket = kind - ROUTES;
    if (bucket > BOUNDS.length + 1) return Math.round(10_000 * hash(series, scrape)) / 100;
    if (scrape > 0 && (scrape + instance * 37) % SCRAPES_PER_LIFE === 0) this.#counters[at] = 0;
    // Not whole numbers: rates that are equal would let topk choose.
    if (bucket < 0) this.#counters[at] += 200 * hash(series, scrape);
    else {
      // Requests of the instance since the last scrape; all of them below a bound, or a share.
      const requests = 20 + Math.floor(80 * hash(instance, scrape));
      if (bucket < BOUNDS.length)
        this.#counters[at] += Math.floor(requests * ((bucket + 1) / BOUNDS.length) ** (1 + (instance % 3)));
      else this.#counters[at] += bucket === BOUNDS.length ? requests / 8 : requests;
    }
    return this.#counters[at]!;
  }
}

function labelBytes(series: number): Buffer {
  const instance = Math.floor(series / SERIES_PER_INSTANCE);
  const labels = { ...namesOf(series % SERIES_PER_INSTANCE), ...labelsOf(instance) };
  return Buffer.concat(
    Object.entries(labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) =>
        field(1, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))])),
      ),
  );
}

function labelsOf(instance: number): Record<string, string> {
  return {
    datacenter: "eu-west-1",
    environment: "production",
    instance: `host-${instance}.example.com:9100`,
    job: "bench",
    rack: `r${instance % 40}`,
  };
}

/** Name and labels of one of an instance's series. */
function namesOf(kind: number): Record<string, string> {
  if (kind < ROUTES) return { __name__: "bench_requests_total", route: `/route/${kind}` };
  const bucket = kind - ROUTES;
  if (bucket < BOUNDS.length) return { __name__: "bench_latency_seconds_bucket", le: BOUNDS[bucket]! };
  if (bucket === BOUNDS.length) return { __name__: "bench_latency_seconds_sum" };
  if (bucket === BOUNDS.length + 1) return { __name__: "bench_latency_seconds_count" };
  const gauge = bucket - BOUNDS.length - 2;
  if (gauge < SENSORS) return { __name__: "bench_temperature_celsius", sensor: `s${gauge}` };
  return { __name__: `bench_gauge_${gauge - SENSORS}` };
}

/** What stands before a snappy block of one literal (https://github.com/google/snappy, format_description). */
function literalHead(length: number): Buffer {
  const tag = Buffer.alloc(5);
  tag[0] = 63 << 2;
  tag.writeUInt32LE(length - 1, 1);
  return Buffer.concat([varint(length), tag]);
}

/** A number in [0, 1) that two others decide. */
function hash(a: number, b: number): number {
  let mixed = Math.imul(a + 0x6d2b79f5, 0x85ebca6b) ^ Math.imul(b + 0x9e3779b9, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
