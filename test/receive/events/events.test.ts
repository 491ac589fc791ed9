/**
 * JSON events as bytes: each form of a body, which events are rejected, which are stored with a warning, and the fast
 * path compared with JSON.parse.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Batch, RepeatedWarning } from "../../../src/model/sample.ts";
import { checkEvent } from "../../../src/receive/events/event.ts";
import { type DecodeOptions, EventDecoder } from "../../../src/receive/events/events.ts";
import { parseExactJson } from "../../../src/wire/json/exact-number.ts";
import { DEFAULTS } from "../../defaults.ts";
import { runs } from "../../runs.ts";

const LIMITS = { nameBytesMax: 200, tagsMax: 64, tagValueBytesMax: 4_096, eventsMax: DEFAULTS.eventsMax };
const ATTRIBUTES = ["task_id", "trace_id"];
const isAttribute = (_: string, tag: string) => ATTRIBUTES.includes(tag);

const decoder = () =>
  new EventDecoder({ ...LIMITS, isAttribute, attributesOf: () => ATTRIBUTES, epoch: () => 0 });

/** A batch as plain events. */
function events(batch: Batch) {
  return Array.from({ length: batch.length }, (_, index) => {
    const head = batch.heads[batch.head[index]!]!;
    const attributes = batch.attributes
      .filter(({ length }) => length[index]! > 0)
      .map(({ name, offset, length }) => [
        name,
        Buffer.from(batch.text).toString("utf8", offset[index], offset[index]! + length[index]!),
      ]);
    return {
      metric: head.metric,
      kind: head.kind,
      type: head.type,
      unit: head.unit,
      exposed: head.exposed,
      keepsBoundText: head.keepsBoundText,
      us: batch.timestampUs[index],
      value: batch.value[index],
      labels: Object.fromEntries(head.labels),
      attributes: Object.fromEntries(attributes),
      position: batch.position[index],
    };
  });
}

/** Decodes a body three times with one decoder: the second and third time the fast path knows it. */
function decodeThrice(body: string | Uint8Array, options?: DecodeOptions) {
  const one = decoder();
  const outcomes = [1, 2, 3].map(() => {
    const batch = one.decode(Buffer.from(body as string), options);
    return {
      events: events(batch),
      rejected: batch.rejected.map(({ index, reason }) => [index, reason]),
      warnings: (batch.warnings?.first ?? []).map(({ index, field, message }) => [index, field, message]),
    };
  });
  expect(outcomes[1]).toEqual(outcomes[0]!);
  expect(outcomes[2]).toEqual(outcomes[0]!);
  return outcomes[0]!;
}

const ok = (name: string, body: string, want: readonly object[], options?: DecodeOptions) =>
  test(name, () =>
    expect(decodeThrice(body, options)).toMatchObject({
      events: want as object[],
      rejected: [],
      warnings: [],
    }),
  );
const wrong = (
  name: string,
  body: string | Uint8Array,
  want: readonly [number, string][],
  options?: DecodeOptions,
) => test(name, () => expect(decodeThrice(body, options).rejected).toEqual(want as [number, string][]));
/** The event is accepted with warnings. In strict mode it is rejected, with the first of the reasons. */
const lossy = (
  name: string,
  body: string,
  warnings: readonly [field: string, message: string][],
  strictReason: string,
) =>
  test(name, () => {
    const { events: accepted, rejected, warnings: got } = decodeThrice(body);
    expect({ accepted: accepted.length, rejected }).toEqual({ accepted: 1, rejected: [] });
    expect(got).toEqual(warnings.map(([field, message]) => [0, field, message]));
    const strict = decodeThrice(body, { strict: true });
    expect(strict).toEqual({ events: [], rejected: [[0, strictReason]], warnings: [] });
  });
const bad = (name: string, body: string | Uint8Array, message: string) =>
  test(name, () => expect(() => decoder().decode(Buffer.from(body as string))).toThrow(message));

const EVENT =
  '{"@timestamp":1704067200000,"metric_name":"http.request.duration_ms","value":234.56,"tags":{"task_id":"1704067200_abc123","operation":"get_task","status_code":"200"}}';
const DECODED = {
  metric: "http.request.duration_ms",
  kind: "observation",
  us: 1704067200000000,
  value: 234.56,
  labels: { operation: "get_task", status_code: "200" },
  attributes: { task_id: "1704067200_abc123" },
};

test("rejects only the truncated line, wherever a power cut ends it", () => {
  const text = fc.constantFrom("a", 'q"uote', "}{", "\\", '\\"}', '{"', "[", "]", "é");
  const line = fc
    .record({ a: text, b: text })
    .map((tags) => JSON.stringify({ metric_name: "m", value: 1, tags }));
  const body = fc.record({
    lines: fc.array(line, { minLength: 1, maxLength: 6 }),
    cut: line.chain((whole) =>
      fc.integer({ min: 1, max: whole.length - 1 }).map((end) => whole.slice(0, end)),
    ),
    at: fc.nat(6),
  });
  fc.assert(
    fc.property(body, ({ lines, cut, at }) => {
      const before = lines.slice(0, at);
      const all = [...before, cut, ...lines.slice(at)].join("\n");
      const batch = decoder().decode(Buffer.from(all), { ndjson: true });
      expect([batch.length, batch.rejected.map(({ index }) => index)]).toEqual([
        lines.length,
        [before.length],
      ]);
    }),
    runs(2_000),
  );
});

describe("reads as a body", () => {
  ok("one event", EVENT, [DECODED]);
  ok("one event over several lines", JSON.stringify(JSON.parse(EVENT), null, 2), [DECODED]);
  ok("an array", `[${EVENT}, ${EVENT}]`, [DECODED, { ...DECODED, position: 1 }]);
  ok("an empty array", " [ ] ", []);
  ok("lines", `${EVENT}\n${EVENT}\r\n\n${EVENT}`, [DECODED, DECODED, { ...DECODED, position: 2 }]);
  ok("objects without a line feed between them", `${EVENT}${EVENT}`, [DECODED, DECODED]);
  ok("one line, if the content type says that it is NDJSON", EVENT, [DECODED], { ndjson: true });
  ok("an event with white space around it", `\n \t${EVENT}\n `, [DECODED]);

  bad("nothing", "  ", "the body is empty, expected an event");
  bad(
    "rejects bytes that are not UTF-8",
    Uint8Array.of(0x7b, 0xff),
    "the body is not JSON: byte 1 is 0xff, which is not valid UTF-8",
  );
  bad(
    "rejects a truncated array",
    `[${EVENT},`,
    `the body is not JSON: byte ${EVENT.length + 2} is the end, where a JSON value was expected`,
  );
  bad(
    "rejects a truncated event",
    EVENT.slice(0, 40),
    "the body is not JSON: byte 40 is the end, inside a string",
  );
  bad(
    "rejects text after the array",
    `[${EVENT}] x`,
    `byte ${EVENT.length + 3} of the body follows the end of the array`,
  );
  bad("rejects a number", "12 13", "byte 3 of the body follows the end of the event");
  bad(
    "rejects a trailing comma",
    `[${EVENT},]`,
    `the body is not JSON: byte ${EVENT.length + 2} has "]" where a JSON value was expected`,
  );
});

describe("what an export adds", () => {
  const line = (more: string) => `{"metric_name":"x_bucket","value":1,"type":"counter",${more}}`;
  ok("a type in the metadata", line('"metadata_type":"histogram"'), [{ kind: "delta", type: "histogram" }]);
  ok("no exposition, and a bound as text", line('"exposed":false,"keeps_bounds":true,"tags":{"le":"1"}'), [
    { type: "counter", exposed: false, keepsBoundText: true, labels: { le: "1" } },
  ]);
  ok("a type of a running total", '{"name":"a","value":1,"type":"cumulative","metadata_type":"summary"}', [
    { kind: "cumulative", type: "summary" },
  ]);
  ok("columns", line('"tags":{"task_id":"t","op":"get"},"columns":{"member":"b"}'), [
    { labels: { op: "get" }, attributes: { task_id: "t", member: "b" } },
  ]);
  wrong("a type that increments cannot have", line('"metadata_type":"gauge"'), [
    [0, 'metadata_type is "gauge", expected one of counter, histogram for this type of event'],
  ]);
  wrong("a type that is no text", line('"metadata_type":5'), [
    [0, "metadata_type is 5, expected one of counter, histogram for this type of event"],
  ]);
  wrong("a flag that is no boolean", line('"exposed":0'), [[0, "exposed is 0, expected true or false"]]);
  wrong("columns of a gauge", '{"name":"a","value":1,"type":"gauge","columns":{"b":"c"}}', [
    [0, "columns are not supported by gauges and running totals"],
  ]);
  wrong("columns that are no object", line('"columns":["a"]'), [[0, 'columns is ["a"], expected an object']]);
  wrong("a column that is no text", line('"columns":{"a":1}'), [
    [0, "columns.a is 1, expected a text that is not empty"],
  ]);
  wrong("a column that is also a tag", line('"tags":{"a":"b"},"columns":{"a":"c"}'), [
    [0, "columns.a is also a tag, expected one of them"],
  ]);
  wrong("a column that identifies a bucket", line('"columns":{"le":"1"}'), [
    [0, "columns.le can only be a tag"],
  ]);
  wrong("a column without a name", line('"columns":{"":"1"}'), [[0, 'tag "" has an empty name']]);
  test("columns with more than 64 names", () => {
    const lines = Array.from({ length: 66 }, (_, index) => line(`"columns":{"c${index}":"v"}`));
    const batch = decoder().decode(Buffer.from(lines.join("\n")), { ndjson: true });
    expect([batch.length, batch.attributes.length]).toEqual([64, 64]);
    expect(batch.rejected.map(({ reason }) => reason)).toEqual([
      "columns.c64 would exceed the limit of 64 columns that no setting names",
      "columns.c65 would exceed the limit of 64 columns that no setting names",
    ]);
  });
});

describe("an event", () => {
  ok("may follow a byte order mark", `\ufeff${EVENT}`, [{ value: 234.56 }]);
  ok("may follow a byte order mark, as NDJSON", `\ufeff${EVENT}\n${EVENT}`, [
    { value: 234.56 },
    { value: 234.56 },
  ]);
  ok("may follow a byte order mark, in an array", `\ufeff[${EVENT}]`, [{ value: 234.56 }]);
  ok("may spell its fields timestamp and name", '{"timestamp":1,"name":"a","value":1}', [
    { metric: "a", us: 1000 },
  ]);
  ok("without a time gets the time of arrival", '{"name":"a","value":1}', [{ us: Number.NaN }]);
  ok(
    "has its RFC 3339 time stored to microseconds",
    '{"timestamp":"2024-01-01T01:00:00.123456789+01:00","name":"a","value":1}',
    [{ us: 1704067200123456 }],
  );
  ok("may have a fraction of a millisecond", '{"timestamp":1704067200000.5,"name":"a","value":1}', [
    { us: 1704067200000500 },
  ]);
  ok("may have numbers and booleans as tags", '{"name":"a","value":1,"tags":{"n":200,"f":1.50,"b":true}}', [
    { labels: { n: "200", f: "1.5", b: "true" } },
  ]);
  ok(
    "has no tags for null and empty values",
    '{"name":"a","value":1,"tags":{"n":null,"e":"","task_id":"","x":"y"}}',
    [{ labels: { x: "y" }, attributes: {} }],
  );
  ok(
    "escapes",
    String.raw`{"name":"a\u0062","value":1,"tags":{"x":"\"\\\n\u00e9\ud83d\ude00","task_id":"\u0041"}}`,
    [{ metric: "ab", labels: { x: '"\\\né😀' }, attributes: { task_id: "A" } }],
  );
  ok(
    "of a gauge has no attributes: every tag is a label",
    '{"type":"gauge","name":"a","value":-1,"tags":{"task_id":"t"}}',
    [{ kind: "gauge", labels: { task_id: "t" }, attributes: {} }],
  );
  ok("may have its type last", '{"name":"a","value":1,"tags":{"task_id":"t"},"type":"gauge"}', [
    { kind: "gauge", labels: { task_id: "t" } },
  ]);
  ok("may be a counter", '{"name":"a","type":"counter","value":3,"unit":"bytes","tags":{"task_id":"t"}}', [
    { kind: "delta", unit: "bytes", attributes: { task_id: "t" } },
  ]);
  ok(
    "may have numbers of every form",
    '[{"name":"a","value":-0.5},{"name":"a","value":1e3},{"name":"a","value":12345678901234567000},{"name":"a","value":0.1234567890123456789},{"name":"a","value":-0}]',
    [
      { value: -0.5 },
      { value: 1000 },
      { value: 12345678901234567000 },
      { value: 0.12345678901234568 },
      { value: -0 },
    ],
  );

  wrong("is rejected without a value", '{"name":"a"}', [[0, "value is missing, expected a number"]]);
  wrong("is rejected without a value, with a hint to a misspelt field", '{"name":"a","Val":1}', [
    [0, 'value is missing, expected a number; found "Val", did you mean "value"?'],
  ]);
  wrong(
    "is rejected without a value, with a hint to a field with two letters exchanged",
    '{"name":"a","valeu":1}',
    [[0, 'value is missing, expected a number; found "valeu", did you mean "value"?']],
  );
  wrong("is rejected if its value is not a number", '{"name":"a","value":"1"}', [
    [0, 'value is "1", expected a finite number'],
  ]);
  wrong("null", '{"name":"a","value":null}', [[0, "value is null, expected a finite number"]]);
  wrong("is rejected if its value is too large", '{"name":"a","value":1e999}', [
    [0, "value is 1e999, expected a finite number"],
  ]);
  for (const type of ["gauge", "cumulative"]) {
    for (const [word, value] of [
      ["NaN", Number.NaN],
      ["Inf", Number.POSITIVE_INFINITY],
      ["+Inf", Number.POSITIVE_INFINITY],
      ["-Inf", Number.NEGATIVE_INFINITY],
      ["Infinity", Number.POSITIVE_INFINITY],
      ["+Infinity", Number.POSITIVE_INFINITY],
      ["-Infinity", Number.NEGATIVE_INFINITY],
    ] as const)
      ok(`a ${type} of ${word}`, `{"name":"a","value":"${word}","type":"${type}"}`, [{ value }]);
    test(`a stale marker of a ${type}`, () => {
      const batch = decoder().decode(
        Buffer.from(
          `{"name":"a","value":1,"type":"${type}"}\n{"name":"a","value":"stale","type":"${type}"}\n{"name":"a","value":"NaN","type":"${type}"}`,
        ),
      );
      expect([...batch.stale!.subarray(0, batch.length)]).toEqual([0, 1, 0]);
    });
    for (const word of ["nan", "inf", "", "1", "Stale"])
      wrong(`a ${type} of another text: ${word}`, `{"name":"a","value":"${word}","type":"${type}"}`, [
        [0, `value is "${word}", expected a finite number`],
      ]);
  }
  for (const type of ["observation", "counter"])
    for (const word of ["NaN", "+Inf", "-Inf", "stale"])
      wrong(
        `a value of a ${type} is finite, not ${word}`,
        `{"name":"a","value":"${word}","type":"${type}"}`,
        [[0, `value is "${word}", expected a finite number`]],
      );
  const notJson = (word: string, number: string) =>
    `has ${word}, which is not JSON; a gauge takes "${number}" in quotation marks as its value, and other types need a finite number`;
  for (const [word, number] of [
    ["NaN", "NaN"],
    ["Infinity", "Infinity"],
    ["-Infinity", "-Infinity"],
    ["+Inf", "Infinity"],
    ["nan", "NaN"],
    ["-inf", "-Infinity"],
  ] as const)
    wrong(`with a bare ${word} is rejected alone`, `[{"name":"a","value":${word}},${EVENT}]`, [
      [0, `byte 21 of the body ${notJson(word, number)}`],
    ]);
  bad(
    "rejects one event with a bare NaN",
    '{"name":"a","value":NaN',
    `the body is not JSON: byte 20 ${notJson("NaN", "NaN")}`,
  );
  wrong("with a word that only begins like one is quoted", `[{"name":"a","value":nano},${EVENT}]`, [
    [0, 'byte 21 of the body has "nano}" where a JSON value was expected'],
  ]);
  const wrapped = (field: string) =>
    `metric_name is missing, and the field "${field}" has an array: the body must be the array itself, without an object around it`;
  for (const field of ["events", "metrics", "data", "samples"]) {
    wrong(`is not an array inside an object: ${field}`, `{"${field}":[${EVENT}]}`, [[0, wrapped(field)]]);
    wrong(`is not an empty array inside an object: ${field}`, `{"${field}":[]}`, [[0, wrapped(field)]]);
  }
  wrong("is not an array of objects in any other field", `{"version":1,"payload":[${EVENT}]}`, [
    [0, wrapped("payload")],
  ]);
  wrong("without a name is no wrapper for its other arrays", '{"value":1,"ids":[1,2]}', [
    [0, "metric_name is missing, expected a name"],
  ]);
  wrong("is rejected without a name", '{"value":1}', [[0, "metric_name is missing, expected a name"]]);
  wrong("is rejected if its name is not a string", '{"name":1,"value":1}', [
    [0, "metric_name is 1, expected a string"],
  ]);
  wrong("is rejected if its time is not a time", '{"timestamp":"yesterday","name":"a","value":1}', [
    [
      0,
      '@timestamp is "yesterday", expected milliseconds since 1970 or an RFC 3339 time such as 2024-01-01T10:00:00Z',
    ],
  ]);
  for (const time of [
    "2024-02-30T00:00:00Z",
    "2023-02-29T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-00-01T00:00:00Z",
  ])
    wrong(`is rejected if its time does not exist: ${time}`, `{"timestamp":"${time}","name":"a","value":1}`, [
      [
        0,
        `@timestamp is "${time}", expected milliseconds since 1970 or an RFC 3339 time such as 2024-01-01T10:00:00Z`,
      ],
    ]);
  wrong("is rejected if no double holds its value", '{"name":"a","value":-1e999}', [
    [0, "value is -1e999, expected a finite number"],
  ]);
  wrong("is quoted with its characters of several bytes", '[{"name":é,"value":1}]', [
    [0, 'byte 9 of the body has "é,\\"value\\":1" where a JSON value was expected'],
  ]);
  wrong("is rejected if its type is unknown", '{"type":"histogram","name":"a","value":1}', [
    [0, 'type is "histogram", expected observation, counter, gauge or cumulative'],
  ]);
  wrong("is rejected if it decreases a counter", '{"type":"counter","name":"a","value":-1}', [
    [0, "value is -1, expected no less than 0 for a counter"],
  ]);
  wrong(
    "is rejected with half of a surrogate pair in its unit",
    String.raw`{"name":"a","value":1,"unit":"\ud83d"}`,
    [[0, String.raw`unit "\ud83d" contains half of a surrogate pair, which is not a character`]],
  );
  wrong("is rejected with a nested tag", '{"name":"a","value":1,"tags":{"x":{"y":1}}}', [
    [0, 'tags.x is {"y":1}, expected a string, a number or a boolean'],
  ]);
  wrong("is rejected if its tags are not an object", '{"name":"a","value":1,"tags":[1]}', [
    [0, "tags is [1], expected an object"],
  ]);
  wrong(
    "is rejected with an attribute that is too long",
    `{"name":"a","value":1,"tags":{"task_id":"${"x".repeat(4_097)}"}}`,
    [[0, "tags.task_id is 4097 bytes long, at most 4096 are accepted (tagValueBytesMax)"]],
  );
  const tags = Array.from({ length: 65 }, (_, n) => `"t${n}":"v"`).join(",");
  wrong("is rejected with too many tags", `{"name":"a","value":1,"tags":{${tags}}}`, [
    [0, "the event has 65 tags, at most 64 are accepted (tagsMax)"],
  ]);
  wrong("on an invalid line is rejected alone", `${EVENT}\n{"name":\n${EVENT}\n[1]`, [
    [1, `byte ${EVENT.length + 9} of the body is the end of the line, where a JSON value was expected`],
    [3, 'expected an event as a JSON object, got "[1]"'],
  ]);
  wrong("is cut at the end of its line, not of the body", `${EVENT}\n${EVENT.slice(0, 40)}\r\n${EVENT}`, [
    [1, `byte ${EVENT.length + 41} of the body is the end of the line, inside a string`],
  ]);
  wrong("is cut at the end of the body", `${EVENT}\n{"name":`, [
    [1, `byte ${EVENT.length + 9} of the body is the end, where a JSON value was expected`],
  ]);
});

describe("numbers that no 64-bit float holds", () => {
  /** The text that a number becomes as a label, as an attribute, and as a label of a gauge. */
  const text = (number: string, want: string) =>
    test(`the tag ${number} is stored as the text ${want}`, () => {
      const tags = `"tags":{"guild":${number},"task_id":${number}}`;
      const body = `[{"name":"a","value":1,${tags}},{"name":"b","type":"gauge","value":1,${tags}}]`;
      const { events: got, rejected, warnings } = decodeThrice(body);
      expect({ rejected, warnings }).toEqual({ rejected: [], warnings: [] });
      expect(got).toMatchObject([
        { labels: { guild: want }, attributes: { task_id: want } },
        { labels: { guild: want, task_id: want }, attributes: {} },
      ]);
    });
  // Ids keep their digits.
  text("738529527931269425", "738529527931269425");
  text("738529527931269426", "738529527931269426");
  text("9007199254740993", "9007199254740993");
  text("-9007199254740993", "-9007199254740993");
  text("18446744073709551615", "18446744073709551615");
  text("18446744073709551616", "18446744073709551616");
  text("12345678901234567890123", "12345678901234567890123");
  text("0.1234567890123456789", "0.1234567890123456789");
  text("1.00000000000000000001", "1.00000000000000000001");
  text("9007199254740993.0", "9007199254740993.0");
  text("1e400", "1e400");
  text("-1e-400", "-1e-400");
  // A number that a float holds is spelled in one way, so that 1 and 1.0 are one series.
  text("200", "200");
  text("0", "0");
  text("-7", "-7");
  text("99999999999999999999", "99999999999999999999");
  text("100000000000000000000", "100000000000000000000");
  text("1000000000000000000000", "1e+21");
  text("9007199254740991", "9007199254740991");
  text("9007199254740992", "9007199254740992");
  text("1.0", "1");
  text("-0", "0");
  text("0.0000000000000000000", "0");
  text("1e5", "100000");
  text("1.50", "1.5");
  text("0.1", "0.1");
  text("1e22", "1e+22");
  text("10000000000000000000000", "1e+22");
  text("0.30000000000000004", "0.30000000000000004");

  const value = (number: string, stored: string, nearest: string) =>
    lossy(
      `a value of ${number} is stored as ${stored} with a warning`,
      `{"name":"a","value":${number}}`,
      [["value", `value ${number} was stored as ${stored}, the nearest 64-bit float`]],
      `value is ${number}, which no 64-bit float holds; the nearest is ${nearest}`,
    );
  value("9007199254740993", "9007199254740992", "9007199254740992");
  value("-738529527931269425", "-738529527931269376", "-738529527931269376");
  value("18446744073709551615", "18446744073709551616", "18446744073709551616");
  value("12345678901234567890123", "1.2345678901234568e+22", "1.2345678901234568e+22");
  value("1e-400", "0", "0");
  ok(
    "a value that equals a float, or its printed form, has no warning",
    `[${[
      "9007199254740992",
      "18446744073709551616",
      "18446744073709552000",
      "1.8446744073709552e19",
      "1e22",
      "0.1234567890123456789",
      "234.56000000000000001",
      "0.0000000000000000",
      "5e-324",
    ]
      .map((number) => `{"name":"a","value":${number}}`)
      .join(",")}]`,
    [
      { value: 2 ** 53 },
      { value: 2 ** 64 },
      { value: 2 ** 64 },
      { value: 2 ** 64 },
      { value: 1e22 },
      { value: 0.12345678901234568 },
      { value: 234.56 },
      { value: 0 },
      { value: 5e-324 },
    ],
  );
  wrong("errors quote the digits that were sent", '{"name":738529527931269425,"value":1}', [
    [0, "metric_name is 738529527931269425, expected a string"],
  ]);
  wrong("errors quote nested digits too", '{"name":"a","value":1,"tags":{"x":[738529527931269425]}}', [
    [0, "tags.x is [738529527931269425], expected a string, a number or a boolean"],
  ]);
  test("a number of a million digits is read in linear time", () => {
    const digits = `1${"0".repeat(1_000_000)}1`;
    const { rejected } = decoder().decode(Buffer.from(`{"name":"a","value":1,"tags":{"task_id":${digits}}}`));
    expect(rejected[0]?.reason).toBe(
      "tags.task_id is 1000002 bytes long, at most 4096 are accepted (tagValueBytesMax)",
    );
  });
});

describe("reports a field that is not stored:", () => {
  const unknown = (name: string, hint: string) =>
    lossy(
      `the field ${name}`,
      `{"name":"a","value":1,"tags":{"x":"1"},"timestamp":5,"${name}":"7"}`,
      [[name, `the field "${name}" is unknown and was not stored; ${hint}`]],
      `the field "${name}" is unknown; ${hint}`,
    );
  for (const name of ["tag", "labels", "attributes", "Tags", "dimensions", "tagz", "tgas"])
    unknown(name, 'did you mean "tags"?');
  for (const name of ["time", "ts", "timestmp", "@time", "timestampMs"])
    unknown(name, 'did you mean "@timestamp"?');
  for (const name of ["metricname", "metricName", "metric", "name_", "metric-name"])
    unknown(name, 'did you mean "metric_name"?');
  unknown("units", 'did you mean "unit"?');
  unknown("tpye", 'did you mean "type"?');
  for (const name of ["host", "@version", "__proto__", "size", "x"])
    unknown(name, 'to keep it, send it in "tags"');

  lossy(
    "a misspelt time",
    '{"name":"a","value":1,"ts":1704067200000}',
    [
      [
        "ts",
        'the field "ts" is unknown and was not stored; did you mean "@timestamp"? ' +
          "The event has the time of its arrival.",
      ],
    ],
    'the field "ts" is unknown; did you mean "@timestamp"?',
  );
  lossy(
    "several fields, in their order",
    '{"host":"h","name":"a","value":1,"label":{}}',
    [
      ["host", 'the field "host" is unknown and was not stored; to keep it, send it in "tags"'],
      ["label", 'the field "label" is unknown and was not stored; did you mean "tags"?'],
    ],
    'the field "host" is unknown; to keep it, send it in "tags"',
  );
  const twice = (name: string, body: string, field: string, stored: object) => {
    lossy(
      name,
      body,
      [[field, `"${field}" appears twice in the event, and the last one was stored`]],
      `"${field}" appears twice in the event, expected once`,
    );
    test(`${name}, and stores the last one`, () => expect(decodeThrice(body).events).toMatchObject([stored]));
  };
  twice("two values", '{"name":"a","value":1,"value":2}', "value", { value: 2 });
  twice("two objects of tags", '{"name":"a","value":1,"tags":{"x":"1"},"tags":{"y":"2"}}', "tags", {
    labels: { y: "2" },
  });
  twice("two labels with one name", '{"name":"a","value":1,"tags":{"x":"1","x":"2"}}', "tags.x", {
    labels: { x: "2" },
  });
  twice(
    "two attributes with one name",
    '{"name":"a","value":1,"tags":{"task_id":"1","task_id":"2"}}',
    "tags.task_id",
    {
      attributes: { task_id: "2" },
    },
  );
  twice("two spellings of one name", String.raw`{"name":"a","value":1,"unit":"b","\u0075nit":"s"}`, "unit", {
    unit: "s",
  });
  twice("two types", '{"name":"a","value":1,"type":"gauge","type":"counter"}', "type", { kind: "delta" });
  ok(
    "but not of equal names in different objects or in texts",
    String.raw`{"name":"a:b","value":1,"tags":{"name":"\":{\"value\":1}","value":"x","tags":"y","type":"name"}}`,
    [{ metric: "a:b", labels: { name: '":{"value":1}', value: "x", tags: "y", type: "name" } }],
  );
  test("two attributes with one name, on the fast path", () => {
    const one = decoder();
    one.decode(Buffer.from('[{"name":"a","value":1},{"name":"a","value":1,"tags":{"task_id":"t"}}]'));
    for (const first of ["1", ""]) {
      const body = Buffer.from(`{"name":"a","value":1,"tags":{"task_id":"${first}","task_id":"2"}}`);
      const batch = one.decode(body);
      expect(batch.warnings?.first).toHaveLength(1);
      expect(events(batch)[0]?.attributes).toEqual({ task_id: "2" });
      expect(one.decode(body, { strict: true }).rejected).toHaveLength(1);
    }
  });

  lossy(
    "two spellings of a field with different values",
    '{"metric_name":"a","name":"b","@timestamp":1,"timestamp":2,"value":1}',
    [
      ["timestamp", 'the field "timestamp" differs from "@timestamp" and was not stored'],
      ["name", 'the field "name" differs from "metric_name" and was not stored'],
    ],
    'the field "timestamp" differs from "@timestamp", expected one of them',
  );
  ok(
    "but not of two spellings of a field with the same value",
    '{"metric_name":"a","name":"a","@timestamp":1704067200000,"timestamp":"2024-01-01T00:00:00Z","value":1}',
    [{ metric: "a", us: 1704067200000000 }],
  );
  for (const found of ["metricname", "metric", "name_", "Metric_Name", "nam"])
    wrong(`a missing name that was sent as ${found}`, `{"${found}":"a","value":1}`, [
      [0, `metric_name is missing, expected a name; found "${found}", did you mean "metric_name"?`],
    ]);
  wrong("a missing name with no similar field", '{"host":"a","value":1}', [
    [0, "metric_name is missing, expected a name"],
  ]);
  test("but not for a rejected event", () => {
    const { rejected, warnings } = decodeThrice('[{"name":"a","value":"1","tag":1},{"tag":1}]');
    expect(rejected).toHaveLength(2);
    expect(warnings).toEqual([]);
  });
  test("with its name capped", () => {
    const [warning] = decodeThrice(`{"name":"a","value":1,"${"x".repeat(5_000)}":1}`).warnings;
    expect(warning?.[1]).toBe(`${"x".repeat(40)}…`);
  });
  for (const [form, bodyOf] of [
    ["an array", (list: readonly string[]) => `[${list.join(",")}]`],
    ["NDJSON", (list: readonly string[]) => list.join("\n")],
  ] as const)
    test(`once for each field of ${form}, with the first event and the number of events`, () => {
      const wrong = '{"name":"a","value":1,"tipe":"gauge","tags":{"type":"x"}}';
      const other = '{"name":"b","value":1,"tipe":"gauge","hlep":"x"}';
      const batch = decoder().decode(Buffer.from(bodyOf([EVENT, wrong, EVENT, other, wrong])));
      expect(batch.warnings?.first).toEqual([
        {
          index: 1,
          field: "tipe",
          message: 'the field "tipe" is unknown and was not stored; did you mean "type"?',
          metric: "a",
          samples: 3,
        },
        {
          index: 3,
          field: "hlep",
          message: 'the field "hlep" is unknown and was not stored; did you mean "help"?',
          metric: "b",
          samples: 1,
        },
      ]);
      expect([...batch.warnings!.unknownFields!]).toEqual([
        ["tipe", 3],
        ["hlep", 1],
      ]);
    });
  test("16 times for an event with 90,000 of them, which are counted", () => {
    const fields = Array.from({ length: 90_000 }, (_, n) => `"f${n}":1`).join(",");
    const { length, warnings } = decoder().decode(Buffer.from(`{"name":"a","value":1,${fields}}`));
    expect(length).toBe(1);
    expect(warnings?.first).toHaveLength(17);
    expect(warnings?.first.at(-1)?.message).toBe("89984 further fields are unknown and were not stored");
    expect(Object.fromEntries(warnings!.counts)).toEqual({ other: 17 });
    expect(warnings?.unknownFields?.get("other")).toBe(89_984);
    const strict = decoder().decode(Buffer.from(`{"name":"a","value":1,${fields}}`), { strict: true });
    expect(strict.rejected.map(({ reason }) => reason)).toEqual([
      'the field "f0" is unknown; to keep it, send it in "tags"',
    ]);
  });
  test("with a count for each of the first 100 names of a body", () => {
    const lines = Array.from({ length: 300 }, (_, n) => `{"name":"a","value":1,"field_${n}":1}`);
    const { unknownFields } = decoder().decode(Buffer.from(lines.join("\n"))).warnings!;
    expect(unknownFields?.size).toBe(101);
    expect([unknownFields?.get("field_99"), unknownFields?.get("other")]).toEqual([1, 200]);
  });
  test("for a thousand fields, and counts further warnings by a few names", () => {
    const lines = Array.from({ length: 1_200 }, (_, n) => `{"name":"a","value":1,"tag":1,"field_${n}":1}`);
    const one = decoder();
    const { warnings, length } = one.decode(Buffer.from(lines.join("\n")));
    expect(length).toBe(1_200);
    expect(warnings?.first).toHaveLength(1_000);
    expect(warnings?.first[0]).toMatchObject({ index: 0, field: "tag", samples: 1_200 });
    expect(warnings?.first.at(-1)).toMatchObject({ index: 998, field: "field_998", samples: 1 });
    expect(Object.fromEntries(warnings!.counts)).toEqual({ tag: 1_200, other: 1_200 });
    expect(one.decode(Buffer.from(EVENT)).warnings).toBeUndefined();
  });
});

describe("a byte that is not UTF-8", () => {
  const bytes = (text: string) => Buffer.from(text, "latin1");
  const A = '{"name":"a","value":1}';
  const BAD = '{"name":"a","value":1,"tags":{"k":"caf\xe9"}}';
  const at = (offset: number, position: number) =>
    `byte ${offset + position} of the body is 0xe9, which is not valid UTF-8`;
  const spoils = (name: string, body: string, index: number, offset: number, kept: number[]) =>
    test(`rejects only its event: ${name}`, () => {
      const outcome = decodeThrice(bytes(body));
      expect(outcome.rejected).toEqual([[index, at(offset, BAD.indexOf("\xe9"))]]);
      expect(outcome.events.map(({ position }) => position)).toEqual(kept);
    });
  spoils("lines", `${A}\n${BAD}\n${A}`, 1, A.length + 1, [0, 2]);
  spoils("an array", `[${A},${BAD},${A}]`, 1, A.length + 2, [0, 2]);
  spoils("one event", BAD, 0, 0, []);
  spoils("the last line", `${A}\n${BAD}`, 1, A.length + 1, [0]);
  spoils("an event over several lines", `{\n${BAD.slice(1)}\n`, 0, 1, []);

  const in_ = (place: string, event: string) =>
    test(`is reported ${place}`, () => {
      const { rejected, events: kept } = decodeThrice(bytes(`${A}\n${event}\n${A}`));
      expect(rejected).toEqual([[1, at(A.length + 1, event.indexOf("\xe9"))]]);
      expect(kept).toHaveLength(2);
    });
  in_("in the name", '{"name":"caf\xe9","value":1}');
  in_("in the name of a tag", '{"name":"a","value":1,"tags":{"caf\xe9":"x"}}');
  in_("in an attribute", '{"name":"a","value":1,"tags":{"task_id":"\xe9"}}');
  in_("in a field that is unknown", '{"name":"a","value":1,"x":"\xe9"}');
  in_("outside a string", '{"name":"a",\xe9"value":1}');
  in_("after characters of several bytes", '{"name":"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe9","value":1}');
  in_("before a JSON error", '{"name":"\xe9","value":}');
  in_("in a truncated line", '{"name":"\xe9');

  const invalid = (name: string, text: string, byte: number, shown: string) =>
    wrong(name, bytes(`{"name":"${text}","value":1}`), [
      [0, `byte ${9 + byte} of the body is ${shown}, which is not valid UTF-8`],
    ]);
  invalid("a continuation byte alone", "a\x80", 1, "0x80");
  invalid("a truncated character", "\xe2\x82", 0, "0xe2");
  invalid("a surrogate", "\xed\xa0\x80", 0, "0xed");
  invalid("an overlong slash", "a\xc0\xaf", 1, "0xc0");
  invalid("a character past the last", "\xf4\x90\x80\x80", 0, "0xf4");
  invalid("a byte that no character has", "\xff", 0, "0xff");

  bad("UTF-16", Buffer.from(`\ufeff${A}`, "utf16le"), "the body is UTF-16, expected UTF-8");
  bad(
    "rejects UTF-16 without a byte order mark",
    Buffer.from(A, "utf16le"),
    "the body is UTF-16, expected UTF-8",
  );
  ok("accepts the character U+FFFD itself", '{"name":"a","value":1,"tags":{"k":"\ufffd"}}', [
    { labels: { k: "\ufffd" } },
  ]);
});

describe("a rejected time has a hint to the probable mistake", () => {
  const EXPECTED = "expected milliseconds since 1970 or an RFC 3339 time";
  const time = (sent: string, hint: string) =>
    wrong(`${sent}`, `{"name":"a","value":1,"@timestamp":${sent}}`, [
      [0, `@timestamp is ${sent}, ${EXPECTED}${hint === "" ? "" : ` (${hint})`}`],
    ]);
  time("1704067200000000", "a number is milliseconds; this one looks like microseconds");
  time("1704067200123456789", "a number is milliseconds; this one looks like nanoseconds");
  time("1704067200000000000", "a number is milliseconds; this one looks like nanoseconds");
  time("1.704067200123456789e18", "a number is milliseconds; this one looks like nanoseconds");
  time("1e+40", "");
  time("-1704067200000000", "");
  time('"1704067200000"', "this one is a number in quotation marks");
  time('"2024-01-01T00:00:00"', "this one has no zone, such as the Z in 2024-01-01T00:00:00Z");
  time('"2024-01-01 00:00:00.123456"', "this one has no zone, such as the Z in 2024-01-01T00:00:00.123456Z");
  time('"2024-01-01T00:00"', "this one has no zone, such as the Z in 2024-01-01T00:00:00Z");
  time('"2024-01-01"', "this one has no zone, such as the Z in 2024-01-01T00:00:00Z");
  const such = (sent: string) =>
    wrong(sent, `{"name":"a","value":1,"@timestamp":${sent}}`, [
      [0, `@timestamp is ${sent}, ${EXPECTED} such as 2024-01-01T10:00:00Z`],
    ]);
  such('"2024-02-30"');
  such('"Fri, 30 Feb 2024 10:00:00 GMT"');
  such('"10:00"');
  // Times of e-mail and HTTP; 12:30 in the zone +0200 is 10:30 in UTC.
  const rfc2822 = (sent: string, utc: string) =>
    time(`"${sent}"`, `this one is an RFC 2822 time, expected ${utc}`);
  rfc2822("Mon, 01 Jan 2024 10:00:00 GMT", "2024-01-01T10:00:00Z");
  rfc2822("Mon, 1 Jan 2024 12:30:05 +0200", "2024-01-01T10:30:05Z");
  rfc2822("1 Jan 2024 00:30 +0100", "2023-12-31T23:30:00Z");
  rfc2822("29 Feb 2024 10:00:00 UT", "2024-02-29T10:00:00Z");
  // ISO 8601 and the logs of Python write a comma.
  time('"2024-01-01T12:00:00,123Z"', "this one has a comma, expected 2024-01-01T12:00:00.123Z");
  time('"2024-01-01 12:00:00,5+01:00"', "this one has a comma, expected 2024-01-01 12:00:00.5+01:00");
  time('"2024-01-01 12:00:00,123"', "this one has a comma and no zone, expected 2024-01-01T12:00:00.123Z");
  time('"2024-01-01T00:00:00.5+0100"', "its zone has no colon, as in 2024-01-01T00:00:00.5+01:00");
  time("true", "");
});

test("rejects a body with more than eventsMax events", () => {
  const small = new EventDecoder({
    ...LIMITS,
    isAttribute,
    attributesOf: () => [],
    epoch: () => 0,
    eventsMax: 2,
  });
  expect(() => small.decode(Buffer.from(`[${EVENT},${EVENT},${EVENT}]`))).toThrow("more than 2 events");
  expect(small.decode(Buffer.from(`[${EVENT},${EVENT}]`)).length).toBe(2);
});

test("keeps valid events and counts invalid ones, however many there are", () => {
  const wrongOnes = '{"name":"a"}\n'.repeat(10_002);
  const batch = decoder().decode(Buffer.from(`${EVENT}\n${wrongOnes}${EVENT}`));
  expect(events(batch).map(({ position }) => position)).toEqual([0, 10_003]);
  expect(batch.rejected).toHaveLength(10_002);
  expect(batch.rejected[9_999]).toMatchObject({
    index: 10_000,
    reason: "value is missing, expected a number",
  });
  expect(batch.rejected[10_001]).toEqual({
    index: 10_002,
    cause: "value",
    reason: "the event is invalid, as are more than 10000 before it",
    payload: "",
  });
});

test("equal label bytes have the same head, in one batch and in the next", () => {
  const one = decoder();
  one.decode(Buffer.from(EVENT));
  const [first, second] = [one.decode(Buffer.from(`[${EVENT},${EVENT}]`)), one.decode(Buffer.from(EVENT))];
  expect(first.heads).toHaveLength(1);
  expect(second.heads[0]).toBe(first.heads[0]!);
});

test("a demoted label is an attribute from the next body on", () => {
  let epoch = 0;
  const attributes = () => (epoch === 0 ? ["task_id"] : ["task_id", "operation"]);
  const one = new EventDecoder({
    ...LIMITS,
    isAttribute: (_, tag) => attributes().includes(tag),
    attributesOf: attributes,
    epoch: () => epoch,
  });
  for (let n = 0; n < 3; n++) expect(events(one.decode(Buffer.from(EVENT)))).toMatchObject([DECODED]);
  epoch = 1;
  for (let n = 0; n < 3; n++) {
    expect(events(one.decode(Buffer.from(EVENT)))[0]!.attributes).toEqual({
      task_id: "1704067200_abc123",
      operation: "get_task",
    });
  }
});

/** Numbers as a body has them; JSON.stringify would round them. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };
const spelledNumber = fc
  .oneof(
    fc.constantFrom("1.0", "1e5", "1E22", "-0", "1e400", "-1e-400", "5e-324", "0.10", "18446744073709551616"),
    fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }).map(String),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.nat(), fc.integer({ min: -330, max: 310 }))
      .map(([whole, fraction, exponent]) => `${whole}.${fraction}e${exponent}`),
  )
  .map((text) => rawJSON(text));

/** Events in spellings of all kinds, with few names, so that the fast path finds names that it knows. */
const tagValue = fc.oneof(
  spelledNumber,
  fc.constantFrom("a", "b", "", 'quo"te', "é", "\u0001"),
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);
const event = fc
  .record(
    {
      "@timestamp": fc.oneof(
        spelledNumber,
        fc.integer(),
        fc.double(),
        fc.constantFrom("2024-01-01T00:00:00Z", "no", null),
      ),
      timestamp: fc.integer(),
      metric_name: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom("a", "b.c") },
        { weight: 1, arbitrary: fc.string() },
      ),
      name: fc.constantFrom("a", "n"),
      value: fc.oneof(spelledNumber, fc.double(), fc.integer(), fc.float(), fc.constantFrom(null, "1")),
      tags: fc.dictionary(fc.constantFrom("task_id", "trace_id", "x", "y", "type"), tagValue, { maxKeys: 4 }),
      type: fc.constantFrom("observation", "counter", "gauge", "cumulative", "other"),
      unit: fc.constantFrom("ms", "bytes"),
      metadata_type: fc.constantFrom("histogram", "counter", "other", 1),
      exposed: fc.constantFrom(true, false, 0),
      keeps_bounds: fc.constantFrom(true, false, "true"),
      columns: fc.dictionary(fc.constantFrom("x", "z", "le"), fc.constantFrom("c", 1), { maxKeys: 2 }),
      tag: fc.constantFrom(1, {}),
    },
    { requiredKeys: ["value"] },
  )
  .chain((fields) =>
    fc
      .shuffledSubarray(Object.keys(fields), { minLength: Object.keys(fields).length })
      .map((keys) => Object.fromEntries(keys.map((key) => [key, fields[key as keyof typeof fields]]))),
  );

test("a number that runs into the name of a field is no JSON, also after events with that field", () => {
  const one = decoder();
  const valid = Buffer.from('{"name":"a","value":1,"tags":{"x":12},"exposed":false}');
  for (let time = 0; time < 3; time++) expect(one.decode(valid)).toMatchObject({ length: 1, rejected: [] });
  const { length, rejected } = one.decode(Buffer.from('{"name":"a","value":1,"tags":{"x":12exposedfalse}}'));
  expect(length).toBe(0);
  expect(rejected).toMatchObject([{ cause: "syntax" }]);
});

test("the fast path and JSON.parse read the same from every event", () => {
  const one = decoder();
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), fc.constantFrom(undefined, 1), (list, indent) => {
      const body = JSON.stringify(list, null, indent);
      const want = (parseExactJson(body) as unknown[]).map((json) => checkEvent(json, LIMITS, isAttribute));
      for (let time = 0; time < 2; time++) {
        const batch = one.decode(Buffer.from(body));
        const got = new Map(events(batch).map((each) => [each.position, each]));
        const warnings = new Map<string, RepeatedWarning>();
        for (const [index, each] of want.entries()) {
          for (const { field, warning } of "reason" in each ? [] : each.losses) {
            const { metric } = (each as { head: { metric: string } }).head;
            const before = warnings.get(warning) ?? { index, field, message: warning, metric, samples: 0 };
            warnings.set(warning, { ...before, samples: before.samples + 1 });
          }
        }
        expect(batch.warnings?.first ?? []).toEqual([...warnings.values()]);
        want.forEach((each, index) => {
          if ("reason" in each) {
            expect(batch.rejected.find((rejection) => rejection.index === index)?.reason).toBe(each.reason);
            return;
          }
          expect(got.get(index)).toEqual({
            metric: each.head.metric,
            kind: each.head.kind,
            type: each.head.type,
            unit: each.head.unit,
            exposed: each.head.exposed,
            keepsBoundText: each.head.keepsBoundText,
            us: each.timestampUs,
            value: each.value,
            labels: Object.fromEntries(each.head.labels),
            attributes: Object.fromEntries(each.attributes),
            position: index,
          });
        });
      }
    }),
    runs(2_000),
  );
});

test("random bytes cause no other error than BadInput and TooLarge", () => {
  const one = decoder();
  const piece = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "\n",
    EVENT,
    '"tags"',
    '"value":1',
    "1e",
    "-",
    "nul",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        one.decode(Buffer.from(pieces.join("")));
      } catch (error) {
        expect((error as Error).name).toBe("BadInput");
      }
    }),
    runs(3_000),
  );
});
