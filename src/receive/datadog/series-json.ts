/**
 * Series of Datadog's API in JSON: versions 1 and 2, and the points of distributions
 * (https://docs.datadoghq.com/api/latest/metrics/). Pure, except for the series that it remembers.
 *
 * A body that is not JSON, or has no list of series, is rejected as a whole. A series or a point with an error is
 * rejected alone. Unknown fields are ignored.
 */
import { atOnce } from "../../model/tasks/time-slices.ts";
import { BadInput, jsonStart, quote } from "../../model/errors.ts";
import { InexactNumber, isStoredAsSent } from "../../wire/json/exact-number.ts";
import { parseJsonBody, requireUtf8 } from "../../wire/json/json-body.ts";
import { JsonWalker } from "../../wire/json/json-walker.ts";
import type {
  DatadogRequest,
  KnownSeries,
  SentSeries,
  SeriesGatherer,
  SeriesType,
  WrongSeries,
} from "./series-gatherer.ts";

/** The bodies that have different fields. */
export type SeriesForm = "v1" | "v2" | "distribution";

/** `counter` is an older name. */
const TYPES_V1: ReadonlyMap<unknown, SeriesType> = new Map([
  [undefined, "gauge"],
  [null, "gauge"],
  ["", "gauge"],
  ["gauge", "gauge"],
  ["count", "count"],
  ["counter", "count"],
  ["rate", "rate"],
]);
/** As in `datadog.agentpayload.MetricPayload.MetricType`: 0 is not specified. */
const TYPES_V2: ReadonlyMap<unknown, SeriesType> = new Map<unknown, SeriesType>([
  [undefined, "gauge"],
  [null, "gauge"],
  [0, "gauge"],
  [1, "count"],
  [2, "rate"],
  [3, "gauge"],
]);

/**
 * Remembered series, and the characters of their keys. If many series exist, two per series are remembered. When one is full, all
 * are dropped.
 */
const SERIES_MAX = 65_536;
const KEYS_CHARACTERS_MAX = 16 * 1_048_576;
const REMEMBERED_PER_SERIES = 2;
const CHARACTERS_PER_SERIES_MAX = 1_024;
/** A series with a longer key is not remembered. */
const KEY_CHARACTERS_MAX = 16_384;

/** Up to this size a body is parsed at once. */
const WHOLE_BYTES_MAX = 131_072;
/** Some 100 µs of work. */
const STEP_BYTES = 4_096;

const PAYLOAD_CHARACTERS_MAX = 1_000;
/** A reason and a payload may be made for each of many points. */
const METRIC_CHARACTERS_SHOWN = 200;

type JsonObject = Readonly<Record<string, unknown>>;

export class JsonSeriesDecoder {
  readonly #gatherer: SeriesGatherer;
  readonly #series = new Map<string, KnownSeries>();
  #characters = 0;

  constructor(gatherer: SeriesGatherer) {
    this.#gatherer = gatherer;
  }

  /**
   * Decodes a body.
   *
   * @throws BadInput when it has no list of series; TooLarge when it has too many points
   */
  decode(body: Uint8Array, form: SeriesForm): DatadogRequest {
    return atOnce(this.decoding(body, form));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(body: Uint8Array, form: SeriesForm): Generator<void, DatadogRequest> {
    this.#gatherer.begin();
    if (body.length > WHOLE_BYTES_MAX) yield* this.#decodeLarge(body, form);
    else {
      const json = parseJsonBody(body);
      if (!isObject(json)) throw new BadInput(`the body is ${quote(json)}, expected {"series": […]}`, "body");
      const { series } = json;
      if (!Array.isArray(series)) throw wrongList(series);
      for (const each of series) this.#decodeSeries(each, form);
    }
    return this.#gatherer.take();
  }

  /** Reads a large body series by series. */
  *#decodeLarge(body: Uint8Array, form: SeriesForm): Generator<void> {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    requireUtf8(bytes);
    const walker = new JsonWalker(bytes);
    let isRead = false;
    for (let hasMore = walker.enter("{"); hasMore; hasMore = walker.next("{")) {
      if (walker.name() !== "series") {
        walker.value();
        continue;
      }
      if (isRead) throw new BadInput("the body has two fields series", "series");
      isRead = true;
      let pauseAt = 0;
      for (let hasSeries = walker.enter("["); hasSeries; hasSeries = walker.next("[")) {
        this.#decodeSeries(walker.value(), form);
        if (walker.at < pauseAt) continue;
        pauseAt = walker.at + STEP_BYTES;
        yield;
      }
    }
    walker.end();
    if (!isRead) throw wrongList(undefined);
  }

  #decodeSeries(json: unknown, form: SeriesForm): void {
    const gatherer = this.#gatherer;
    if (!isObject(json)) {
      const reason = `a series is ${quote(json)}, expected an object`;
      gatherer.reject(gatherer.nextPosition(), { cause: "syntax", reason }, () => payloadOf(json));
      return;
    }
    const { points } = json;
    if (!Array.isArray(points)) {
      const reason = `points of metric ${quote(json.metric)} are ${quote(points)}, expected an array`;
      gatherer.reject(gatherer.nextPosition(), { cause: "syntax", reason }, () => payloadOf(json));
      return;
    }
    const series = this.#find(json, form);
    if ("reason" in series) {
      const payload = () => payloadOf({ ...json, points: undefined });
      for (let count = points.length; count > 0; count--)
        gatherer.reject(gatherer.nextPosition(), series, payload);
      return;
    }
    const metric = series.head.metric.slice(0, METRIC_CHARACTERS_SHOWN);
    for (const point of points) {
      const wrong = form === "v2" ? this.#pointV2(series, point) : this.#pointV1(series, point, form);
      if (wrong === undefined) continue;
      const reason = `metric ${quote(metric)} has ${wrong.reason}`;
      const payload = () => payloadOf({ metric, points: [point] });
      gatherer.reject(gatherer.nextPosition(), { cause: wrong.cause, reason }, payload);
    }
  }

  /** Adds a point, or says what is wrong with it. */
  #pointV1(series: KnownSeries, point: unknown, form: SeriesForm): WrongSeries | undefined {
    if (!Array.isArray(point) || point.length !== 2)
      return {
        cause: "syntax",
        reason: `the point ${quote(point)}, expected [TIMESTAMP, ${form === "v1" ? "VALUE" : "[VALUE, …]"}]`,
      };
    const [timestamp, value]: readonly unknown[] = point;
    if (form === "v1") return this.#point(series, timestamp, value);
    const seconds = secondsOf(timestamp);
    if (seconds === undefined) return wrongTimestamp(timestamp);
    const values = Array.isArray(value) ? value.map((each) => this.#value(series, each)) : [undefined];
    if (values.length === 0 || values.includes(undefined))
      return {
        cause: "value",
        reason: `the values ${quote(value)} at ${quote(timestamp)}, expected an array of numbers`,
      };
    this.#gatherer.addValues(series, seconds, values as number[]);
    return undefined;
  }

  #pointV2(series: KnownSeries, point: unknown): WrongSeries | undefined {
    if (!isObject(point))
      return {
        cause: "syntax",
        reason: `the point ${quote(point)}, expected an object with timestamp and value`,
      };
    return this.#point(series, point.timestamp, point.value);
  }

  #point(series: KnownSeries, timestamp: unknown, value: unknown): WrongSeries | undefined {
    const seconds = secondsOf(timestamp);
    if (seconds === undefined) return wrongTimestamp(timestamp);
    const number = this.#value(series, value);
    if (number === undefined)
      return {
        cause: "value",
        reason: `the value ${quote(value)} at ${quote(timestamp)}, expected a number`,
      };
    this.#gatherer.addPoint(series, seconds, number);
    return undefined;
  }

  /** The number of a value, with a warning if no 64-bit float holds it; undefined if it is none, or too large for one. */
  #value({ head }: KnownSeries, sent: unknown): number | undefined {
    if (typeof sent === "number") return sent;
    if (!(sent instanceof InexactNumber) || !Number.isFinite(sent.value)) return undefined;
    const { text, value } = sent;
    if (!isStoredAsSent(text, value)) {
      const message = `value ${text.slice(0, 40)} was stored as ${value}, the nearest 64-bit float`;
      this.#gatherer.warn("value", message, head.metric);
    }
    return value;
  }

  #find(json: JsonObject, form: SeriesForm): KnownSeries | WrongSeries {
    const sent = form === "v2" ? readV2(json) : readV1(json, form);
    if ("reason" in sent) return sent;
    const { metric, type, interval, unit, resources, tags } = sent;
    const key = JSON.stringify([metric, type, interval, unit, resources, tags]);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const series = this.#gatherer.decide(sent);
    if (key.length > KEY_CHARACTERS_MAX) return series;
    this.#characters += key.length;
    const exist = this.#gatherer.seriesCount();
    if (
      this.#series.size >= Math.max(SERIES_MAX, REMEMBERED_PER_SERIES * exist) ||
      this.#characters > Math.max(KEYS_CHARACTERS_MAX, CHARACTERS_PER_SERIES_MAX * exist)
    ) {
      this.#series.clear();
      this.#characters = key.length;
    }
    this.#series.set(key, series);
    return series;
  }
}

function wrongList(series: unknown): BadInput {
  return new BadInput(`series is ${quote(series)}, expected an array`, "series");
}

function readV1(json: JsonObject, form: SeriesForm): SentSeries | WrongSeries {
  const { host, device } = json;
  const type: SeriesType | undefined = form === "distribution" ? "distribution" : TYPES_V1.get(json.type);
  if (type === undefined) return wrongType(json, "count, rate or gauge");
  const common = readCommon(json);
  if ("reason" in common) return common;
  const resources: (readonly [string, string])[] = [];
  for (const [name, value] of [
    ["host", host],
    ["device", device],
  ] as const) {
    if (value === undefined || value === null || value === "") continue;
    if (typeof value !== "string") return wrongField(json, name, value, "a string");
    resources.push([name, value]);
  }
  return { ...common, type, unit: "", resources };
}

function readV2(json: JsonObject): SentSeries | WrongSeries {
  const type = TYPES_V2.get(json.type);
  if (type === undefined) return wrongType(json, "0 (unspecified), 1 (count), 2 (rate) or 3 (gauge)");
  const common = readCommon(json);
  if ("reason" in common) return common;
  const { unit = "", resources = [] } = json;
  if (unit !== null && typeof unit !== "string") return wrongField(json, "unit", unit, "a string");
  const pairs: (readonly [string, string])[] = [];
  for (const resource of Array.isArray(resources) ? resources : [resources]) {
    if (resource === null) continue;
    if (!isObject(resource) || typeof resource.type !== "string" || typeof resource.name !== "string")
      return wrongField(json, "resources", resources, "an array of objects with type and name");
    pairs.push([resource.type, resource.name]);
  }
  return { ...common, type, unit: unit ?? "", resources: pairs };
}

function readCommon(json: JsonObject): Pick<SentSeries, "metric" | "interval" | "tags"> | WrongSeries {
  const { metric, interval, tags } = json;
  if (typeof metric !== "string") {
    return { cause: "name", reason: `metric is ${quote(metric)}, expected a name` };
  }
  if (interval !== undefined && interval !== null && !(typeof interval === "number" && interval >= 0))
    return wrongField(json, "interval", interval, "seconds as a number of 0 or more");
  if (
    tags !== undefined &&
    tags !== null &&
    !(Array.isArray(tags) && tags.every((tag) => typeof tag === "string"))
  )
    return wrongField(json, "tags", tags, "an array of strings");
  return { metric, interval: (interval as number | null) ?? 0, tags: (tags as string[] | null) ?? [] };
}

/** A series or a point as it was sent, for the table of rejected samples. */
function payloadOf(json: unknown): string {
  return jsonStart(json, PAYLOAD_CHARACTERS_MAX);
}

function wrongType(json: JsonObject, expected: string): WrongSeries {
  return wrongField(json, "type", json.type, expected);
}

function wrongField({ metric }: JsonObject, field: string, value: unknown, expected: string): WrongSeries {
  const cause = field === "type" ? "type" : field === "interval" ? "value" : "labels";
  return {
    cause,
    reason: `${field} of metric ${quote(metric)} is ${quote(value)}, expected ${expected}`,
  };
}

function wrongTimestamp(timestamp: unknown): WrongSeries {
  return {
    cause: "timestamp",
    reason: `the timestamp ${quote(timestamp)}, expected seconds since 1970 as a number`,
  };
}

/** Seconds since 1970, with a fraction; undefined for anything else. */
function secondsOf(timestamp: unknown): number | undefined {
  const seconds = timestamp instanceof InexactNumber ? timestamp.value : timestamp;
  // A time in nanoseconds is a number too; its reason says which unit it looks like.
  return typeof seconds === "number" && Math.abs(seconds) <= 1e19 ? seconds : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof InexactNumber)
  );
}
