/**
 * Decoders of lines, of Datadog's bodies and of columns remember as many series as exist, like those of
 * remembered-series.test.ts. What a decoder decides anew for each series that it does not remember is counted.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { parseCsvFormat } from "../../src/receive/victoria-metrics/csv-format.ts";
import { CsvLinesDecoder } from "../../src/receive/victoria-metrics/csv-lines.ts";
import { JsonLinesDecoder } from "../../src/receive/victoria-metrics/json-lines.ts";
import { TextLinesDecoder } from "../../src/receive/victoria-metrics/text-lines.ts";
import { SeriesGatherer } from "../../src/receive/datadog/series-gatherer.ts";
import { JsonSeriesDecoder } from "../../src/receive/datadog/series-json.ts";
import { ProtobufSeriesDecoder } from "../../src/receive/datadog/series-protobuf.ts";
import { SketchDecoder } from "../../src/receive/datadog/sketches.ts";
import { HeadLayouts } from "../../src/receive/events/columns/head-layouts.ts";
import { GraphiteDecoder } from "../../src/receive/graphite/graphite.ts";
import { PathTemplates } from "../../src/receive/graphite/path-templates.ts";
import { StatsdDecoder } from "../../src/receive/statsd/statsd.ts";
import type { TextLineDecoder } from "../../src/receive/text-line-decoder.ts";
import { LabelBlocks } from "../../src/wire/label-blocks.ts";
import { DatagramSegment } from "../../src/wire/sockets/waiting-datagrams.ts";
import { DEFAULTS } from "../defaults.ts";
import { binOf, encodeSeries, encodeSketches } from "./datadog/agent-payload.ts";

/** However few series exist, 65,536 are remembered, and 4,096 histograms of sketches. */
const SERIES = 66_000;
const SKETCHES = 4_200;
const PER_BODY = 3_000;
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

const { add } = LabelBlocks.prototype;
afterEach(() => {
  LabelBlocks.prototype.add = add;
});

type Counted = (exist: () => number) => { send(): void; decided(): number };

/** Lines of 3,000 series at a time. */
function lines(decoder: TextLineDecoder, lineOf: (number: number) => string, decided: () => number) {
  return {
    send: bodies(SERIES, (some) => {
      const segment = new DatagramSegment();
      const bytes = Buffer.from(some.map(lineOf).join("\n"));
      segment.add(bytes, 0, bytes.length, 1_700_000_000_000_000);
      decoder.decode(segment, 0);
      decoder.take();
    }),
    decided,
  };
}

function bodies(count: number, send: (numbers: readonly number[]) => void): () => void {
  const all = numbers(count);
  return () => {
    for (let first = 0; first < count; first += PER_BODY) send(all.slice(first, first + PER_BODY));
  };
}

/** Counts the blocks that are added from now on. A spy would keep the arguments of each call. */
function blocksAdded(): () => number {
  let count = 0;
  LabelBlocks.prototype.add = function (this: LabelBlocks<unknown>, ...args) {
    count++;
    return add.apply(this as LabelBlocks, args as Parameters<typeof add>);
  };
  return () => count;
}

/** A gatherer of Datadog's decoders, and what it has decided. */
function datadog(exist: () => number) {
  let count = 0;
  class Counting extends SeriesGatherer {
    override decide(sent: Parameters<SeriesGatherer["decide"]>[0]) {
      count++;
      return super.decide(sent);
    }
  }
  return { gatherer: new Counting(exist), decided: () => count };
}

function imports(decode: (text: Buffer) => unknown, lineOf: (n: number) => string, decided: () => number) {
  return {
    send: bodies(SERIES, (some) => void decode(Buffer.from(some.map(lineOf).join("\n")))),
    decided,
  };
}

const DECODERS: Record<string, Counted> = {
  statsd: (seriesCount) => {
    const decoder = new StatsdDecoder({
      ...DEFAULTS,
      isAttribute: () => false,
      epoch: () => 0,
      level: () => undefined,
      seriesCount,
    });
    return lines(decoder, (n) => `m:1|g|#n:${n}`, blocksAdded());
  },
  graphite: (exist) =>
    lines(new GraphiteDecoder(new PathTemplates([]), exist), (n) => `m;n=${n} 1`, blocksAdded()),
  "VictoriaMetrics' JSON lines": (exist) => {
    const decoder = new JsonLinesDecoder(exist);
    const lineOf = (n: number) => `{"metric":{"__name__":"m","n":"${n}"},"values":[1],"timestamps":[1000]}`;
    return imports((text) => decoder.decode(text, 0), lineOf, blocksAdded());
  },
  "VictoriaMetrics' text": (exist) => {
    const decoder = new TextLinesDecoder(exist);
    return imports(
      (text) => decoder.decode(text, 0),
      (n) => `m{n="${n}"} 1 1000`,
      blocksAdded(),
    );
  },
  "VictoriaMetrics' CSV": (exist) => {
    const decoder = new CsvLinesDecoder(exist);
    const format = parseCsvFormat("1:label:n,2:metric:m");
    return imports(
      (text) => decoder.decode(text, 0, undefined, format),
      (n) => `${n},1`,
      blocksAdded(),
    );
  },
  "Datadog's JSON": (exist) => {
    const { gatherer, decided } = datadog(exist);
    const decoder = new JsonSeriesDecoder(gatherer);
    const send = bodies(SERIES, (some) => {
      const series = some.map((n) => ({
        metric: "m",
        type: 3,
        tags: [`n:${n}`],
        points: [{ timestamp: 1, value: 1 }],
      }));
      decoder.decode(Buffer.from(JSON.stringify({ series })), "v2");
    });
    return { send, decided };
  },
  "Datadog's protobuf": (exist) => {
    const { gatherer, decided } = datadog(exist);
    const decoder = new ProtobufSeriesDecoder(gatherer);
    const send = bodies(SERIES, (some) => {
      const series = some.map((n) => ({
        metric: "m",
        type: 3,
        tags: [`n:${n}`],
        points: [{ timestamp: 1, value: 1 }],
      }));
      decoder.decode(encodeSeries(...series));
    });
    return { send, decided };
  },
  "Datadog's sketches": (exist) => {
    const { gatherer, decided } = datadog(exist);
    const decoder = new SketchDecoder(gatherer);
    const bin = binOf(1);
    const send = bodies(SKETCHES, (some) => {
      const sketches = some.map((n) => ({
        metric: "m",
        tags: [`n:${n}`],
        dogsketches: [{ ts: 1, cnt: 1, min: 1, max: 1, avg: 1, sum: 1, k: [bin], n: [1] }],
      }));
      decoder.decode(encodeSketches(...sketches));
    });
    return { send, decided };
  },
};

describe("as many series are remembered as exist:", () => {
  test.each(Object.entries(DECODERS))("%s", (name, open) => {
    let exist = SERIES;
    const { send, decided } = open(() => exist);
    const count = name.endsWith("sketches") ? SKETCHES : SERIES;
    send();
    expect(decided()).toBe(count);
    send();
    expect(decided()).toBe(count);
    // With fewer, some are forgotten.
    exist = 0;
    const few = open(() => exist);
    few.send();
    const before = few.decided();
    few.send();
    expect(few.decided()).toBeGreaterThan(before);
  });
});

test("a layout of columns keeps its heads if so many series exist", () => {
  const known = (exist: number) => {
    const layouts = new HeadLayouts(() => exist);
    const constants: [string, string][] = [];
    const columns = [{ name: "n", hasLabels: true }];
    const event = { type: 0, unit: undefined, help: undefined } as unknown as Parameters<
      HeadLayouts["of"]
    >[0];
    layouts.begin();
    const layout = layouts.of(event, constants, columns);
    for (const n of numbers(SERIES)) layout.levels[1]!.pairs.of(1, n);
    layouts.bound();
    layouts.begin();
    return layouts.of(event, constants, columns) === layout;
  };
  expect([known(SERIES), known(0)]).toEqual([true, false]);
});
