/**
 * Decodes an ExportMetricsServiceRequest of OpenTelemetry as protobuf
 * (https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto) → Batch.
 * Pure, except for what it remembers of resources, scopes, metrics and attributes by their bytes.
 *
 * Fields may come in any order. So each message is passed over once for the fields that its points depend on, and then
 * read. A point that cannot be stored is rejected alone. A body that is not such a message is rejected as a whole.
 */
import { isUtf8 } from "node:buffer";
import { quote } from "../../../model/errors.ts";
import { HELP_CHARACTERS_MAX, type Labels, type SeriesHead } from "../../../model/sample.ts";
import { atOnce } from "../../../model/tasks/time-slices.ts";
import { BYTES, ProtobufReader, VARINT } from "../../../wire/protobuf.ts";
import { InvalidAttribute, readAttributes } from "../labels/attribute-values.ts";
import {
  type InstrumentationScope,
  type LabelOptions,
  type ResourceLabels,
  resourceLabels,
  scopeLabels,
} from "../labels/point-labels.ts";
import { targetTimes } from "../labels/target-info.ts";
import { metricName, type NamedType, unitName } from "../labels/translated-names.ts";
import { ByteKeys } from "./byte-keys.ts";
import { DataPoint } from "./data-point.ts";
import { type OtlpRequest, PointGatherer, type PointGathererOptions } from "./point-gatherer.ts";
import type { DataField, OtlpMetric, Problem } from "./point-series.ts";

/** The field that every message of a list here has: resource_metrics, data_points. */
const FIRST = 8 | BYTES;
const SECOND = 16 | BYTES;
const THIRD = 24 | BYTES;
/** Fields of a Metric. */
const DATA_FIELDS: ReadonlyMap<number, DataField> = new Map([
  [40 | BYTES, "gauge"],
  [56 | BYTES, "sum"],
  [72 | BYTES, "histogram"],
  [80 | BYTES, "exponentialHistogram"],
  [88 | BYTES, "summary"],
]);
const [TEMPORALITY, IS_MONOTONIC] = [16 | VARINT, 24 | VARINT];
/** Values of AggregationTemporality. */
const [DELTA, CUMULATIVE] = [1, 2];
/**
 * Memory of the remembered resources, scopes and metrics: their bytes twice, and their objects. Past it, and past this much for
 * each series that exists, all are forgotten with the next request.
 */
const REMEMBERED_BYTES_MAX = 64 * 1_048_576;
const BYTES_PER_SERIES_MAX = 2_048;
const OBJECT_BYTES = 600;
/** Bytes of a body without a pause: some 100 µs of work. */
const STEP_BYTES = 8_192;

const NOTHING: ResourceLabels = {
  promoted: new Map(),
  job: undefined,
  instance: undefined,
  target: undefined,
};
const NO_LABELS: Labels = new Map();

/** A resource with its scopes. */
class KnownResource {
  readonly labels: ResourceLabels;
  readonly problem: Problem | undefined;
  readonly scopes = new ByteKeys<KnownScope>();
  readonly target: SeriesHead | undefined;
  /** The times of its points in this request. */
  earliestUs = Number.POSITIVE_INFINITY;
  latestUs = Number.NEGATIVE_INFINITY;

  constructor(labels: ResourceLabels, problem: Problem | undefined) {
    this.labels = labels;
    this.problem = problem;
    if (labels.target !== undefined)
      this.target = {
        metric: "target_info",
        kind: "gauge",
        type: "info",
        help: "Target metadata",
        labels: labels.target,
      };
  }
}

interface KnownScope {
  readonly labels: Labels;
  readonly problem: Problem | undefined;
  readonly metrics: ByteKeys<KnownMetric>;
}

/** The texts of a metric, and what it is for each type that it was sent with. */
interface KnownMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly isText: boolean;
  readonly byShape: Map<number, OtlpMetric>;
}

export class OtlpDecoder {
  readonly #options: LabelOptions;
  readonly #reader = new ProtobufReader();
  readonly #gatherer: PointGatherer;
  readonly #seriesCount: () => number;
  readonly #point: DataPoint;
  #resources = new ByteKeys<KnownResource>();
  #rememberedBytes = 0;
  #numbers = 0;
  #pauseAt = 0;
  #pointsTo = 0;
  /** The resources of this request that have `target_info`. */
  readonly #targets = new Set<KnownResource>();

  constructor(options: LabelOptions, parts: PointGathererOptions = {}) {
    const { seriesCount = () => 0 } = parts;
    this.#options = options;
    this.#seriesCount = seriesCount;
    this.#gatherer = new PointGatherer(options, parts);
    this.#point = new DataPoint(this.#gatherer.expect);
  }

  /** How many series were decided since the start. The others repeat the bytes of earlier ones. */
  get decisions(): number {
    return this.#gatherer.decisions;
  }

  /**
   * Decodes a request.
   *
   * @throws BadInput when the body is not an ExportMetricsServiceRequest; TooLarge when it has too many points
   */
  decode(body: Uint8Array): OtlpRequest {
    return atOnce(this.decoding(body));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(body: Uint8Array): Generator<void, OtlpRequest> {
    this.#pauseAt = 0;
    const message = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const reader = this.#reader;
    reader.open(message);
    this.#forgetPastMax();
    this.#gatherer.begin(message);
    this.#resources.begin();
    for (const resource of this.#targets) this.#forgetTimes(resource);
    while (reader.at < message.length) {
      const tag = reader.uint32();
      if (tag === FIRST) yield* this.#resourceMetrics(reader.length());
      else reader.skip(tag);
    }
    for (const { target, earliestUs, latestUs } of this.#targets)
      this.#gatherer.addOther(target!, targetTimes(earliestUs, latestUs), 1);
    return this.#gatherer.take();
  }

  *#resourceMetrics(end: number): Generator<void> {
    const reader = this.#reader;
    const begin = reader.at;
    if (begin >= this.#pauseAt) yield* this.#pause();
    let [from, to] = [0, 0];
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === FIRST) {
        to = reader.length();
        from = reader.at;
        reader.at = to;
      } else reader.skip(tag);
    }
    reader.expectEnd(end);
    const resource = this.#resources.get(reader.bytes, from, to, () => this.#readResource(from, to));
    this.#gatherer.beginResource();
    resource.scopes.begin();
    reader.at = begin;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === SECOND) yield* this.#scopeMetrics(reader.length(), resource);
      else reader.skip(tag);
      if (reader.at >= this.#pauseAt) yield* this.#pause();
    }
    const { earliestUs, latestUs } = this.#gatherer;
    if (resource.target === undefined || earliestUs > latestUs) return;
    resource.earliestUs = Math.min(resource.earliestUs, earliestUs);
    resource.latestUs = Math.max(resource.latestUs, latestUs);
    this.#targets.add(resource);
  }

  *#scopeMetrics(end: number, resource: KnownResource): Generator<void> {
    const reader = this.#reader;
    const { bytes } = reader;
    const begin = reader.at;
    let [from, to, schemaFrom, schemaTo] = [0, 0, 0, 0];
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === FIRST) {
        to = reader.length();
        from = reader.at;
        reader.at = to;
      } else if (tag === THIRD) {
        schemaTo = reader.length();
        schemaFrom = reader.at;
        reader.at = schemaTo;
      } else reader.skip(tag);
    }
    reader.expectEnd(end);
    const make = () => this.#readScope(from, to, bytes.toString("utf8", schemaFrom, schemaTo));
    let scope: KnownScope;
    if (schemaFrom === schemaTo || !this.#options.promoteScope)
      scope = resource.scopes.get(bytes, from, to, make);
    else {
      // No message has a zero between its fields.
      const key = Buffer.concat([bytes.subarray(from, to), SEPARATOR, bytes.subarray(schemaFrom, schemaTo)]);
      scope = resource.scopes.get(key, 0, key.length, make);
    }
    scope.metrics.begin();
    reader.at = begin;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === SECOND) {
        const to = reader.length();
        const data = this.#beginMetric(to, resource, scope);
        if (data !== undefined) {
          const pointsTo = this.#pointsTo;
          if (pointsTo - reader.at > STEP_BYTES) yield* this.#manyPoints(data, pointsTo);
          else this.#points(data, pointsTo, pointsTo);
        }
        reader.at = to;
        if (to >= this.#pauseAt) yield* this.#pause();
      } else reader.skip(tag);
    }
  }

  /** Lets the caller pause, and sets where it may pause again. */
  *#pause(): Generator<void> {
    this.#pauseAt = this.#reader.at + STEP_BYTES;
    yield;
  }

  /** Reads a metric up to its points, which end at `#pointsTo`. Returns undefined if it has none. */
  #beginMetric(end: number, resource: KnownResource, scope: KnownScope): DataField | undefined {
    const reader = this.#reader;
    const begin = reader.at;
    let data: DataField | undefined;
    let [from, to] = [0, 0];
    // The texts in one piece, as long as they are.
    let [textTo, isWhole] = [begin, true];
    while (reader.at < end) {
      const tagAt = reader.at;
      const tag = reader.uint32();
      if (tag === FIRST || tag === SECOND || tag === THIRD) {
        reader.at = reader.length();
        if (tagAt === textTo) textTo = reader.at;
        else isWhole = false;
        continue;
      }
      const field = DATA_FIELDS.get(tag);
      if (field === undefined) {
        reader.skip(tag);
        continue;
      }
      data = field;
      to = reader.length();
      from = reader.at;
      reader.at = to;
    }
    reader.expectEnd(end);
    const known = isWhole
      ? scope.metrics.get(reader.bytes, begin, textTo, () =>
          this.#readMetric(reader.bytes.subarray(begin, textTo)),
        )
      : this.#scattered(begin, end, scope);
    if (data === undefined) {
      this.#gatherer.warn("data", `metric ${quote(known.name)} has no data of a known type`, known.name);
      return undefined;
    }
    reader.at = from;
    const shape = this.#readShape(data, to);
    let metric = known.byShape.get(shape);
    if (metric === undefined) {
      metric = this.#decide(known, data, shape, resource, scope);
      known.byShape.set(shape, metric);
    }
    reader.at = from;
    this.#gatherer.beginMetric(metric);
    this.#pointsTo = to;
    return data;
  }

  *#manyPoints(data: DataField, to: number): Generator<void> {
    const reader = this.#reader;
    while (reader.at < to) {
      this.#points(data, Math.min(to, reader.at + STEP_BYTES), to);
      yield;
    }
  }

  /** Reads temporality and monotonicity, and returns a number that is different for each type of data with them. */
  #readShape(data: DataField, end: number): number {
    const number = DATA_NUMBERS[data];
    if (data === "gauge" || data === "summary") return number;
    const reader = this.#reader;
    let [temporality, isMonotonic] = [0, 0];
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === TEMPORALITY) temporality = reader.uint64();
      else if (tag === IS_MONOTONIC && data === "sum") isMonotonic = reader.uint64() === 0 ? 0 : 1;
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    return number + 8 * (Math.min(temporality, CUMULATIVE + 1) * 2 + isMonotonic);
  }

  /** Reads points up to the first one at or behind `until`. */
  #points(data: DataField, until: number, end: number): void {
    const reader = this.#reader;
    const point = this.#point;
    const gatherer = this.#gatherer;
    while (reader.at < until) {
      const tag = reader.uint32();
      if (tag !== FIRST) {
        reader.skip(tag);
        continue;
      }
      const to = reader.length();
      if (data === "gauge" || data === "sum") {
        point.readNumber(reader, to);
        gatherer.addNumber(point);
      } else if (data === "histogram") {
        point.readHistogram(reader, to);
        gatherer.addHistogram(point);
      } else if (data === "exponentialHistogram") {
        point.readExponential(reader, to);
        gatherer.addExponential(point);
      } else {
        point.readSummary(reader, to);
        gatherer.addSummary(point);
      }
    }
    if (until === end || reader.at > end) reader.expectEnd(end);
  }

  #decide(
    { name, description, unit, isText }: KnownMetric,
    data: DataField,
    shape: number,
    resource: KnownResource,
    scope: KnownScope,
  ): OtlpMetric {
    const temporality = Math.floor(shape / 16);
    const isMonotonic = (shape & 8) !== 0;
    const isCounter = data === "sum" && isMonotonic;
    const named: NamedType = isCounter ? "counter" : data === "gauge" ? "gauge" : "other";
    const translated = metricName(name, unit, named, this.#options.translation);
    const isLevel = data === "gauge" || (data === "sum" && !isMonotonic);
    this.#remember(0);
    return {
      sentName: name,
      name: translated ?? "",
      data,
      kind: temporality === DELTA ? "delta" : isLevel ? "gauge" : "cumulative",
      type: isCounter ? "counter" : isLevel ? "gauge" : data === "summary" ? "summary" : "histogram",
      unit: unitName(unit),
      help: description.slice(0, HELP_CHARACTERS_MAX),
      resource: resource.labels,
      scope: scope.labels,
      problem:
        resource.problem ??
        scope.problem ??
        problemOfTexts(isText, name, translated) ??
        problemOfTemporality(data, temporality, isMonotonic),
      number: ++this.#numbers,
      first: -1,
      generation: -1,
    };
  }

  #readMetric(texts: Buffer): KnownMetric {
    this.#remember(texts.length);
    return readTexts(texts);
  }

  #remember(bytes: number): void {
    this.#rememberedBytes += OBJECT_BYTES + 2 * bytes;
  }

  #readResource(from: number, to: number): KnownResource {
    this.#remember(to - from);
    return this.#reading(
      () => {
        const attributes = readAttributes(this.#reader, from, to, FIRST);
        return new KnownResource(resourceLabels(attributes, this.#options), undefined);
      },
      (problem) => new KnownResource(NOTHING, problem),
      "the resource",
    );
  }

  #readScope(from: number, to: number, schemaUrl: string): KnownScope {
    this.#remember(to - from + schemaUrl.length);
    const metrics = new ByteKeys<KnownMetric>();
    return this.#reading<KnownScope>(
      () => {
        if (!this.#options.promoteScope) return { labels: NO_LABELS, problem: undefined, metrics };
        const attributes = readAttributes(this.#reader, from, to, THIRD);
        const [name, version] = this.#readTwoTexts(from, to);
        const scope: InstrumentationScope = { name, version, schemaUrl, attributes };
        return { labels: scopeLabels(scope, this.#options), problem: undefined, metrics };
      },
      (problem) => ({ labels: NO_LABELS, problem, metrics }),
      "the scope",
    );
  }

  /** The name and version of a scope. */
  #readTwoTexts(from: number, to: number): [string, string] {
    const reader = this.#reader;
    const texts: [string, string] = ["", ""];
    reader.at = from;
    while (reader.at < to) {
      const tag = reader.uint32();
      if (tag !== FIRST && tag !== SECOND) {
        reader.skip(tag);
        continue;
      }
      const end = reader.length();
      const bytes = reader.bytes.subarray(reader.at, end);
      if (!isUtf8(bytes)) throw new InvalidAttribute("its name or version is not valid UTF-8");
      texts[tag === FIRST ? 0 : 1] = bytes.toString("utf8");
      reader.at = end;
    }
    return texts;
  }

  #reading<Known>(read: () => Known, refuse: (problem: Problem) => Known, what: string): Known {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof InvalidAttribute)) throw error;
      return refuse({ cause: "labels", reason: `${what}: ${error.message}` });
    }
  }

  /** The metric of a sender that puts texts between or behind other fields. */
  #scattered(begin: number, end: number, scope: KnownScope): KnownMetric {
    const reader = this.#reader;
    const parts: Buffer[] = [];
    reader.at = begin;
    while (reader.at < end) {
      const from = reader.at;
      const tag = reader.uint32();
      reader.skip(tag);
      if (tag === FIRST || tag === SECOND || tag === THIRD)
        parts.push(reader.bytes.subarray(from, reader.at));
    }
    const texts = Buffer.concat(parts);
    return scope.metrics.get(texts, 0, texts.length, () => this.#readMetric(texts));
  }

  #forgetTimes(resource: KnownResource): void {
    resource.earliestUs = Number.POSITIVE_INFINITY;
    resource.latestUs = Number.NEGATIVE_INFINITY;
    this.#targets.delete(resource);
  }

  #forgetPastMax(): void {
    const bytesMax = Math.max(REMEMBERED_BYTES_MAX, BYTES_PER_SERIES_MAX * this.#seriesCount());
    if (this.#rememberedBytes <= bytesMax) return;
    this.#rememberedBytes = 0;
    this.#resources = new ByteKeys();
    this.#gatherer.forget();
  }
}

const SEPARATOR = Buffer.of(0);
const DATA_NUMBERS: Record<DataField, number> = {
  gauge: 0,
  sum: 1,
  histogram: 2,
  exponentialHistogram: 3,
  summary: 4,
};

/** Reads name, description and unit; bytes that are not UTF-8 are replaced. */
function readTexts(message: Buffer): KnownMetric {
  const reader = new ProtobufReader();
  reader.open(message);
  const texts: [string, string, string] = ["", "", ""];
  let isText = true;
  while (reader.at < message.length) {
    const field = reader.uint32() >>> 3;
    const end = reader.length();
    const bytes = message.subarray(reader.at, end);
    if (!isUtf8(bytes)) isText = false;
    texts[field - 1] = bytes.toString("utf8");
    reader.at = end;
  }
  const [name, description, unit] = texts;
  return { name, description, unit, isText, byShape: new Map() };
}

function problemOfTexts(isText: boolean, name: string, translated: string | undefined): Problem | undefined {
  const problem = (reason: string): Problem => ({ cause: "name", reason });
  if (!isText) return problem("its name, description or unit is not valid UTF-8");
  if (name === "") return problem("its name is empty");
  if (translated === undefined) return problem("no letter or digit of its name remains in Prometheus");
  return undefined;
}

function problemOfTemporality(
  data: DataField,
  temporality: number,
  isMonotonic: boolean,
): Problem | undefined {
  if (data === "gauge" || data === "summary") return undefined;
  if (temporality === DELTA && data === "sum" && !isMonotonic) {
    const reason =
      "it is a non-monotonic sum with delta temporality, which is not supported; " +
      "send sums of UpDownCounters with cumulative temporality";
    return { cause: "kind", reason };
  }
  if (temporality === DELTA || temporality === CUMULATIVE) return undefined;
  const is = temporality === 0 ? "not set" : "unknown";
  return {
    cause: "kind",
    reason: `its aggregation_temporality is ${is}, expected delta (1) or cumulative (2)`,
  };
}
