/**
 * Events that repeat the bytes of earlier ones between the values that differ: the decoder recognises them without
 * looking for their parts. Each event must be read as by a decoder that has seen nothing.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Batch } from "../../../src/model/sample.ts";
import { EventDecoder } from "../../../src/receive/events/events.ts";
import { runs } from "../../runs.ts";

const LIMITS = { nameBytesMax: 200, tagsMax: 64, tagValueBytesMax: 20, eventsMax: 10_000 };
const ATTRIBUTES = ["task_id", "trace_id"];

const decoder = (epoch = () => 0) =>
  new EventDecoder({
    ...LIMITS,
    isAttribute: (_, tag) => ATTRIBUTES.includes(tag),
    attributesOf: () => ATTRIBUTES,
    epoch,
  });

/** The samples and rejections of a batch, by their place in the body. */
function outcomes(batch: Batch): unknown[] {
  const found: unknown[] = [];
  for (let index = 0; index < batch.length; index++) {
    const { metric, kind, labels, ...rest } = batch.heads[batch.head[index]!]!;
    const attributes = batch.attributes
      .filter(({ length }) => length[index]! > 0)
      .map(({ name, offset, length }) => [
        name,
        Buffer.from(batch.text).toString("utf8", offset[index], offset[index]! + length[index]!),
      ]);
    found[batch.position[index]!] = {
      head: { metric, kind, labels: [...labels], ...rest },
      us: batch.timestampUs[index],
      value: batch.value[index],
      attributes: Object.fromEntries(attributes),
    };
  }
  for (const { index, cause } of batch.rejected) found[index] = { cause };
  return found;
}

/** What a new decoder reads of an event, by the event. */
const read = new Map<string, unknown>();
const alone = (event: string) =>
  read.getOrInsertComputed(event, () => outcomes(decoder().decode(Buffer.from(`[${event}]`)))[0]);

function expectAsAlone(one: EventDecoder, events: readonly string[]): void {
  const batch = one.decode(Buffer.from(`[${events.join(",")}]`));
  expect(outcomes(batch)).toEqual(events.map(alone));
}

const number = fc.oneof(
  fc.integer({ min: -5, max: 1_000_000 }).map(String),
  fc.constantFrom(
    "0",
    "-0",
    "1.5",
    "-2.25",
    "1e3",
    "1E-2",
    "123456789012345678",
    "0.1234567890123456789",
    "1e999",
    "01",
    "1.",
    '"7"',
  ),
);
const text = fc.constantFrom("", "a", "abc-1", "ü", 'q\\"x', "\\u0041", "a".repeat(20), "a".repeat(21));
/** Spellings of a few series. */
const shapes: readonly ((time: string, value: string, a: string, b: string) => string)[] = [
  (time, value, a) =>
    `{"@timestamp":${time},"metric_name":"m","value":${value},"tags":{"task_id":"${a}","x":"1"}}`,
  (time, value, a) =>
    `{"@timestamp": ${time}, "metric_name": "m", "value": ${value}, "tags": {"task_id": "${a}", "x": "1"}}`,
  (time, value, a) =>
    `{"metric_name":"m","value":${value},"tags":{"x":"1","task_id":"${a}"},"@timestamp":${time}}`,
  (_, value, a, b) =>
    `{"metric_name":"m","value":${value},"tags":{"task_id":"${a}","trace_id":"${b}","x":"2"}}`,
  (_, value, a, b) => `{"metric_name":"m","value":${value},"tags":{"task_id":"${a}","task_id":"${b}"}}`,
  (time, value) => `{"metric_name":"m","value":${value},"tags":{"task_id":${time},"x":"1"}}`,
  (_, value, a) => `{"metric_name":"c","type":"counter","value":${value},"tags":{"task_id":"${a}"}}`,
  (_, value, a) => `{"metric_name":"g","type":"gauge","value":${value},"tags":{"trace":"${a}"}}`,
  (_, value) => `{"metric_name":"m","value":${value}}`,
  (time, value) => `{"metric_name":"m","value":${value},"value":${time}}`,
  // The last ones differ in the values of labels, too.
  (_, value, a, b) => `{"metric_name":"m","value":${value},"tags":{"x":"${b}","task_id":"${a}","y":"1"}}`,
  (time, value, a, b) =>
    `{"@timestamp":${time},"metric_name":"m","value":${value},"tags":{"x":"${a}","y":"${b}"}}`,
  (_, value, a, b) =>
    `{"metric_name":"c","type":"counter","value": ${value} ,"tags":{"task_id":"${a}","x": "${b}" }}`,
];
const event = fc
  .tuple(fc.nat({ max: shapes.length - 1 }), number, number, text, text)
  .map(([shape, time, value, a, b]) => shapes[shape]!(time, value, a, b));

test("reads each event as a decoder that has seen no other", () => {
  const one = decoder();
  fc.assert(
    fc.property(fc.array(event, { maxLength: 6 }), (events) => {
      // Repeated, so that each event is expected after the one before.
      for (let time = 0; time < 3; time++) expectAsAlone(one, events);
    }),
    runs(300),
  );
});

test("an expected event with another value in each hole", () => {
  for (const shape of shapes) {
    const one = decoder();
    const usual = [shape("1704067200000", "1", "a", "b"), shape("1704067200001", "2.5", "c", "d")];
    for (let time = 0; time < 3; time++) expectAsAlone(one, usual);
    for (const value of ["-1", "1e3", "007", "1.", "9007199254740993", '"7"', "null"]) {
      expectAsAlone(one, [...usual, shape("1704067200002", value, "e", "f"), ...usual]);
      expectAsAlone(one, [...usual, shape(value, "3", "e", "f"), ...usual]);
    }
    for (const value of ["", "a\\\\b", "\\u00e9", "é", "x".repeat(20), "x".repeat(21)]) {
      expectAsAlone(one, [...usual, shape("1704067200002", "3", value, "f"), ...usual]);
      expectAsAlone(one, [...usual, shape("1704067200002", "3", "e", value), ...usual]);
    }
  }
});

test("reads bytes that are not UTF-8 as before, also in an expected event", () => {
  const one = decoder();
  const usual = shapes[0]!("1", "1", "abc", "");
  for (let time = 0; time < 3; time++) expectAsAlone(one, [usual, usual]);
  const bad = Buffer.from(`[${usual},${usual},${usual}]`);
  bad[bad.indexOf("abc", usual.length)] = 0xff;
  const batch = one.decode(bad);
  expect(batch.length).toBe(2);
  expect(batch.rejected.map(({ index, cause }) => [index, cause])).toEqual([[1, "syntax"]]);
});

test("a truncated event is no expected event", () => {
  const one = decoder();
  const usual = shapes[0]!("1", "1", "abc", "");
  for (let time = 0; time < 3; time++) expectAsAlone(one, [usual, usual]);
  const lines = `${usual}\n${usual}\n`;
  for (let end = usual.length + 2; end < lines.length - 1; end++) {
    const batch = one.decode(Buffer.from(lines.slice(0, end)), { ndjson: true });
    expect(batch.length).toBe(1);
    expect(batch.rejected).toHaveLength(1);
  }
});

test("forgets what it expects when the attributes change", () => {
  let epoch = 0;
  const attributes = ["task_id"];
  const one = new EventDecoder({
    ...LIMITS,
    isAttribute: (_, tag) => attributes.includes(tag),
    attributesOf: () => attributes,
    epoch: () => epoch,
  });
  const usual = '{"metric_name":"m","value":1,"tags":{"task_id":"a","user":"u"}}';
  const decode = () => outcomes(one.decode(Buffer.from(`[${usual},${usual}]`)));
  for (let time = 0; time < 3; time++)
    expect(decode()).toMatchObject([
      { head: { labels: [["user", "u"]] }, attributes: { task_id: "a" } },
      { head: { labels: [["user", "u"]] }, attributes: { task_id: "a" } },
    ]);
  attributes.push("user");
  epoch++;
  for (let time = 0; time < 3; time++)
    expect(decode()).toMatchObject([
      { head: { labels: [] }, attributes: { task_id: "a", user: "u" } },
      { head: { labels: [] }, attributes: { task_id: "a", user: "u" } },
    ]);
});

test("events with other values of labels are not looked at part by part once each value was seen", () => {
  const one = decoder();
  const event = (at: number) =>
    `{"@timestamp":${1_704_067_200_000 + at},"metric_name":"m","value":${at},` +
    `"tags":{"task_id":"t${at}","domain":"d${at % 7}","status":"${at % 5}"}}`;
  // Each of the 35 pairs. A name is known the second time, a block of labels the third, and its bytes then are remembered.
  const pairs = Array.from({ length: 35 }, (_, at) => event(at));
  // In one body, and in one that is large enough for the loops.
  for (let time = 0; time < 3; time++) expectAsAlone(one, [...pairs, ...pairs]);
  const before = one.scans;
  // In another order, so that the next event is never the one that followed last time.
  const others = Array.from({ length: 300 }, (_, at) => event(35 + ((at * 11) % 300)));
  expectAsAlone(one, others);
  expect(one.scans - before).toBe(0);
});
