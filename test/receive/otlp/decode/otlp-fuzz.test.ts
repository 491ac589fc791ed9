/**
 * Random requests of OTLP metrics: protobuf, as the reference package protobufjs writes it, and JSON give the samples of
 * a plain model; what the decoder remembers of earlier requests changes nothing; and damaged bodies are errors of the
 * sender.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { BadInput } from "../../../../src/model/errors.ts";
import { openMetricsFloat } from "../../../../src/model/spelling.ts";
import { OtlpDecoder } from "../../../../src/receive/otlp/decode/otlp-decoder.ts";
import { jsonToProtobuf } from "../../../../src/receive/otlp/decode/otlp-json.ts";
import { metricName } from "../../../../src/receive/otlp/labels/translated-names.ts";
import { runs } from "../../../runs.ts";
import { DEFAULTS, decodeOnce, encode, type JsonRequest, lines, nano, whole } from "../otlp-messages.ts";

interface Point {
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
  readonly timeUnixNano: string;
  readonly asDouble?: number;
  readonly asInt?: string;
  readonly flags?: number;
  readonly count?: string;
  readonly sum?: number;
  readonly bucketCounts?: readonly string[];
  readonly explicitBounds?: readonly number[];
  readonly quantileValues?: readonly { readonly quantile: number; readonly value: number }[];
}
interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly gauge?: { readonly dataPoints: readonly Point[] };
  readonly sum?: {
    readonly dataPoints: readonly Point[];
    readonly aggregationTemporality: number;
    readonly isMonotonic: boolean;
  };
  readonly histogram?: { readonly dataPoints: readonly Point[]; readonly aggregationTemporality: number };
  readonly summary?: { readonly dataPoints: readonly Point[] };
}

// Few values, so that series and messages repeat.
const attributes = fc
  .uniqueArray(fc.constantFrom("a", "b.c", "job", "größe"), { maxLength: 3 })
  .chain((keys) =>
    fc.tuple(
      ...keys.map((key) =>
        fc.constantFrom("1", "22", "ü", "").map((text) => ({ key, value: { stringValue: text } })),
      ),
    ),
  );
const time = fc.integer({ min: 0, max: 400 }).map(nano);
const base = { attributes, timeUnixNano: time };
const flags = fc.constantFrom(0, 0, 0, 1, 2);
const double = fc.constantFrom(0, 1.5, -2, 1e300, Number.NaN, Number.POSITIVE_INFINITY);
const number = fc.oneof(
  fc.record({ ...base, flags, asDouble: double }),
  fc.record({ ...base, flags, asInt: fc.constantFrom("0", "-7", "9007199254740993", "9223372036854775807") }),
);
const histogramPoint = fc
  .uniqueArray(fc.constantFrom(-1, 0, 0.1, 5, 250), { maxLength: 3 })
  .map((bounds) => bounds.sort((a, b) => a - b))
  .chain((explicitBounds) =>
    fc
      .tuple(
        fc.record({ ...base, sum: fc.option(fc.constantFrom(0, 2.5, -1), { nil: undefined }) }),
        fc.tuple(...[...explicitBounds, 0].map(() => fc.integer({ min: 0, max: 9 }))),
      )
      .map(([point, counts]) => ({
        ...point,
        explicitBounds,
        bucketCounts: counts.map(String),
        count: String(counts.reduce((a, b) => a + b, 0)),
      })),
  );
const summaryPoint = fc.record({
  ...base,
  count: fc.constantFrom("0", "3"),
  sum: fc.constantFrom(0, 1.25),
  quantileValues: fc.uniqueArray(fc.record({ quantile: fc.constantFrom(0, 0.5, 1), value: double }), {
    maxLength: 2,
    selector: ({ quantile }) => quantile,
  }),
});
const points = (of: fc.Arbitrary<Point>) => fc.array(of, { maxLength: 3 });
const named = { unit: fc.constantFrom("", "s", "1", "{x}") };
const metric: fc.Arbitrary<Metric> = fc.oneof(
  fc.record({ name: fc.constant("gauge"), ...named, gauge: fc.record({ dataPoints: points(number) }) }),
  fc.record({
    name: fc.constantFrom("sum", "sum.total"),
    ...named,
    sum: fc.record({
      dataPoints: points(number),
      aggregationTemporality: fc.constantFrom(1, 2),
      isMonotonic: fc.boolean(),
    }),
  }),
  fc.record({
    name: fc.constant("histogram"),
    ...named,
    histogram: fc.record({
      dataPoints: points(histogramPoint),
      aggregationTemporality: fc.constantFrom(1, 2),
    }),
  }),
  fc.record({
    name: fc.constant("summary"),
    ...named,
    summary: fc.record({ dataPoints: points(summaryPoint) }),
  }),
);
const resource = fc.constantFrom(
  {},
  { "service.name": "w" },
  { "service.name": "w", "service.instance.id": "i" },
);
const request: fc.Arbitrary<JsonRequest> = fc
  .array(fc.tuple(resource, fc.array(fc.array(metric, { maxLength: 3 }), { maxLength: 2 })), { maxLength: 3 })
  .map((resources) => ({
    resourceMetrics: resources.map(([plain, scopes]) => ({
      resource: {
        attributes: Object.entries(plain).map(([key, value]) => ({ key, value: { stringValue: value } })),
      },
      scopeMetrics: scopes.map((metrics) => ({ metrics })),
    })),
  }));

/** The samples of the valid points of a request, by what the README says. */
function model(sent: JsonRequest): string[] {
  const found: string[] = [];
  for (const each of sent.resourceMetrics as readonly {
    readonly resource: { readonly attributes: readonly Point["attributes"][number][] };
    readonly scopeMetrics: readonly { readonly metrics: readonly Metric[] }[];
  }[]) {
    const own = new Map(each.resource.attributes.map(({ key, value }) => [key, value.stringValue]));
    for (const metrics of each.scopeMetrics)
      for (const metric of metrics.metrics) found.push(...samplesOf(metric, own));
  }
  return found;
}

function samplesOf(
  { name, unit, gauge, sum, histogram, summary }: Metric,
  resource: ReadonlyMap<string, string>,
): string[] {
  const temporality = (sum ?? histogram)?.aggregationTemporality;
  if (sum && temporality === 1 && !sum.isMonotonic) return [];
  const isLevel = gauge !== undefined || sum?.isMonotonic === false;
  const kind = temporality === 1 ? "delta" : isLevel ? "gauge" : "cumulative";
  const type = sum?.isMonotonic ? "counter" : gauge ? "gauge" : "other";
  const translated = metricName(name, unit, type, DEFAULTS.translation)!;
  return (gauge ?? sum ?? histogram ?? summary)!.dataPoints.flatMap((point) => {
    const labels = new Map<string, string>();
    const keys: Record<string, string> = { "b.c": "b_c", größe: "gr__e" };
    for (const { key, value } of point.attributes) labels.set(keys[key] ?? key, value.stringValue);
    if (resource.has("service.name")) labels.set("job", resource.get("service.name")!);
    if (resource.has("service.instance.id")) labels.set("instance", resource.get("service.instance.id")!);
    const line = (suffix: string, more: readonly [string, string][], value: number | string) => {
      const all = [...labels, ...more].filter(([, text]) => text !== "").sort(([a], [b]) => (a < b ? -1 : 1));
      const text = all.map(([label, each]) => `${label}=${JSON.stringify(each)}`).join(",");
      const seconds = Number(point.timeUnixNano.slice(0, -9)) - 1_704_067_200;
      return `${translated}${suffix}${text === "" ? "" : `{${text}}`} ${value} @${seconds} ${kind}`;
    };
    if (gauge || sum) {
      if (point.flags === 1) return kind === "delta" ? [] : [line("", [], "stale")];
      const value = point.asInt === undefined ? point.asDouble! : Number(point.asInt);
      return kind === "delta" && !(value >= 0 && Number.isFinite(value)) ? [] : [line("", [], value)];
    }
    const sums =
      point.sum === undefined || (kind === "delta" && point.sum < 0) ? [] : [line("_sum", [], point.sum)];
    if (summary) {
      const quantiles = point.quantileValues!.map(({ quantile, value }) =>
        line("", [["quantile", openMetricsFloat(quantile)]], value),
      );
      return [...quantiles, line("_count", [], Number(point.count)), ...sums];
    }
    let below = 0;
    const buckets = point.explicitBounds!.map((bound, at) => {
      below += Number(point.bucketCounts![at]);
      return line("_bucket", [["le", openMetricsFloat(bound)]], below);
    });
    const all = line("_bucket", [["le", "+Inf"]], Number(point.count));
    return [...buckets, all, line("_count", [], Number(point.count)), ...sums];
  });
}

/** JSON has no NaN and no infinities. */
function toJson(sent: JsonRequest): Buffer {
  const text = JSON.stringify(sent, (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
  return Buffer.from(text);
}

test("any request gives the samples of the model, in both encodings, whatever came before it", () => {
  const used = new OtlpDecoder(DEFAULTS);
  fc.assert(
    fc.property(request, (sent) => {
      const message = encode(JSON.parse(toJson(sent).toString()));
      const fresh = decodeOnce(message);
      // Buckets that a histogram lost are ended between the samples of the model.
      const shown = lines(fresh).filter((line) => !/_bucket.* stale/.test(line));
      expect(shown).toEqual(model(sent));
      const want = comparable(fresh);
      expect(comparable(used.decode(message))).toEqual(want);
      expect(comparable(used.decode(jsonToProtobuf(toJson(sent))))).toEqual(want);
    }),
    runs(400),
  );
});

/** Without the buckets that end: which do depends on the points before. */
function comparable(decoded: ReturnType<typeof decodeOnce>) {
  const { metadata: _, ...all } = whole(decoded) as {
    lines: string[];
    positions: number[];
    metadata: unknown;
  };
  const isKept = all.lines.map((line) => !/_bucket.* stale/.test(line));
  return {
    ...all,
    lines: all.lines.filter((_, at) => isKept[at]),
    positions: all.positions.filter((_, at) => isKept[at]),
  };
}

test("any damaged body is an error of the sender or other samples, and the next body is not affected", () => {
  const used = new OtlpDecoder(DEFAULTS);
  fc.assert(
    fc.property(
      request,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
      fc.nat(),
      (sent, changes, cut) => {
        const message = encode(JSON.parse(toJson(sent).toString()));
        const damaged = Buffer.from(message.subarray(0, message.length - (cut % 3)));
        for (const [at, byte] of changes) if (damaged.length > 0) damaged[at % damaged.length] = byte;
        try {
          used.decode(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(BadInput);
        }
        expect(lines(used.decode(message)).filter((line) => !/_bucket.* stale/.test(line))).toEqual(
          model(sent),
        );
      },
    ),
    runs(400),
  );
});

test("any JSON is translated or rejected with an error of the sender", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        request.map((sent) => toJson(sent).toString()),
      ),
      fc.nat(),
      fc.string(),
      (text, at, more) => {
        const place = at % (text.length + 1);
        try {
          decodeOnce(
            jsonToProtobuf(Buffer.from(text.slice(0, place) + more + text.slice(place + more.length))),
          );
        } catch (error) {
          expect(error).toBeInstanceOf(BadInput);
        }
      },
    ),
    runs(400),
  );
});
