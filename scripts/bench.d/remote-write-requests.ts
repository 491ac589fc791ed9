/**
 * The remote_write requests of the benchmark: scrape after scrape of the same series, which resemble those of
 * node_exporter (eight labels, some 190 bytes), in messages of version 1.0 compressed with snappy.
 *
 * Written byte by byte: a million samples as objects would take longer to make than to send.
 */
import snappyjs from "snappyjs";

export interface Load {
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
  const all = Array.from({ length: load.series }, (_, index) => labelBytes(index));
  const share = Math.ceil(load.series / load.connections);
  return Array.from({ length: load.connections }, (_, connection) => {
    const from = connection * share;
    const own = all.slice(from, from + share);
    const bodies: Uint8Array<ArrayBuffer>[] = [];
    for (let scrape = 0; scrape < load.scrapes; scrape++) {
      const ms = load.firstMs + scrape * load.intervalMs;
      for (let at = 0; at < own.length; at += load.samplesPerRequest) {
        const part = own.slice(at, at + load.samplesPerRequest);
        bodies.push(request(part, from + at, ms, scrape));
      }
    }
    return bodies;
  });
}

const MODES = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];

function labelBytes(index: number): Buffer {
  const labels: [string, string][] = [
    ["__name__", `node_metric_${index % 200}_seconds_total`],
    ["cpu", String(index % 16)],
    ["datacenter", "eu-west-1"],
    ["environment", "production"],
    ["instance", `host-${Math.floor(index / 200)}.example.com:9100`],
    ["job", "node_exporter"],
    ["mode", MODES[index % MODES.length]!],
    ["rack", `r${index % 40}`],
  ];
  const parts = labels.map(([name, value]) => {
    const pair = Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))]);
    return field(1, pair);
  });
  return Buffer.concat(parts);
}

function request(
  labels: readonly Buffer[],
  first: number,
  ms: number,
  scrape: number,
): Uint8Array<ArrayBuffer> {
  const parts = labels.map((block, offset) => {
    const value = Buffer.alloc(9);
    value[0] = 0x09;
    // Counters that grow by something else each time, from somewhere else each.
    value.writeDoubleLE((first + offset) * 1_000 + scrape * 15 + ((scrape * 31 + offset) % 17) / 8, 1);
    const sample = Buffer.concat([value, Buffer.from([0x10]), varint(ms)]);
    return field(1, Buffer.concat([block, field(2, sample)]));
  });
  return new Uint8Array(snappyjs.compress(Buffer.concat(parts)));
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
