/**
 * The remote_write requests of the benchmark: scrape after scrape of the same series, which resemble those of
 * node_exporter (eight labels, some 190 bytes), in messages of version 1.0 or 2.0 compressed with snappy. Those of 2.0 are
 * as Prometheus sends them: one table of symbols per request, and the metadata of each series.
 *
 * Written byte by byte: a million samples as objects would take longer to make than to send.
 */
import snappyjs from "snappyjs";

export type Version = "1.0" | "2.0";

export interface Load {
  readonly version: Version;
  readonly series: number;
  /** Samples that every series gets. */
  readonly scrapes: number;
  readonly samplesPerRequest: number;
  /** Series are shared out to connections, so that those of one stay in order, as senders do it. */
  readonly connections: number;
  readonly firstMs: number;
  readonly intervalMs: number;
}

/** By connection: its requests, in order. */
export function requests(load: Load): Uint8Array<ArrayBuffer>[][] {
  const all = Array.from({ length: load.series }, (_, index) => labelsOf(index));
  const blocks = load.version === "1.0" ? all.map(labelBytes) : [];
  const share = Math.ceil(load.series / load.connections);
  return Array.from({ length: load.connections }, (_, connection) => {
    const from = connection * share;
    const own = all.slice(from, from + share);
    const bodies: Uint8Array<ArrayBuffer>[] = [];
    for (let scrape = 0; scrape < load.scrapes; scrape++) {
      const ms = load.firstMs + scrape * load.intervalMs;
      for (let at = 0; at < own.length; at += load.samplesPerRequest) {
        const first = from + at;
        const part = own.slice(at, at + load.samplesPerRequest);
        const message =
          load.version === "1.0"
            ? request(blocks.slice(first, first + part.length), first, ms, scrape)
            : request2(part, first, ms, scrape);
        bodies.push(new Uint8Array(snappyjs.compress(message)));
      }
    }
    return bodies;
  });
}

const MODES = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];

function labelsOf(index: number): [string, string][] {
  return [
    ["__name__", `node_metric_${index % 200}_seconds_total`],
    ["cpu", String(index % 16)],
    ["datacenter", "eu-west-1"],
    ["environment", "production"],
    ["instance", `host-${Math.floor(index / 200)}.example.com:9100`],
    ["job", "node_exporter"],
    ["mode", MODES[index % MODES.length]!],
    ["rack", `r${index % 40}`],
  ];
}

function labelBytes(labels: readonly [string, string][]): Buffer {
  const parts = labels.map(([name, value]) => {
    const pair = Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))]);
    return field(1, pair);
  });
  return Buffer.concat(parts);
}

/** prometheus.WriteRequest. */
function request(labels: readonly Buffer[], first: number, ms: number, scrape: number): Buffer {
  return Buffer.concat(
    labels.map((block, offset) =>
      field(1, Buffer.concat([block, field(2, sample(first, offset, ms, scrape))])),
    ),
  );
}

const HELP = "Seconds the CPUs spent in each mode.";
const TYPE_COUNTER = 1;

/** io.prometheus.write.v2.Request: series with references to the symbols, which stand in one table. */
function request2(
  labels: readonly (readonly [string, string][])[],
  first: number,
  ms: number,
  scrape: number,
): Buffer {
  // The first symbol is empty: the references of absent texts point to it.
  const references = new Map([["", 0]]);
  const reference = (text: string) => {
    const known = references.get(text) ?? references.size;
    references.set(text, known);
    return varint(known);
  };
  const series = labels.map((own, offset) => {
    const metadata = [Buffer.from([8, TYPE_COUNTER, 24]), reference(HELP), Buffer.from([32]), reference("")];
    return field(
      5,
      Buffer.concat([
        field(1, Buffer.concat(own.flat().map(reference))),
        field(2, sample(first, offset, ms, scrape)),
        field(5, Buffer.concat(metadata)),
      ]),
    );
  });
  const symbols = [...references.keys()].map((text) => field(4, Buffer.from(text)));
  return Buffer.concat([...symbols, ...series]);
}

/** A sample of a counter that grows by something else each time, from somewhere else each. Both versions have it. */
function sample(first: number, offset: number, ms: number, scrape: number): Buffer {
  const value = Buffer.alloc(9);
  value[0] = 0x09;
  value.writeDoubleLE((first + offset) * 1_000 + scrape * 15 + ((scrape * 31 + offset) % 17) / 8, 1);
  return Buffer.concat([value, Buffer.from([0x10]), varint(ms)]);
}

/** A field of bytes, as protobuf has it. */
export function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
