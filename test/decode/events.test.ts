/** JSON events as bytes: each form of a body, what of it is turned away, and the quick pass against JSON.parse. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkEvent } from "../../src/decode/event.ts";
import { EventDecoder } from "../../src/decode/events.ts";
import type { Batch } from "../../src/sample.ts";

const LIMITS = { nameBytesMax: 200, tagsMax: 64, tagValueBytesMax: 4_096 };
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
      unit: head.unit,
      us: batch.timestampUs[index],
      value: batch.value[index],
      labels: Object.fromEntries(head.labels),
      attributes: Object.fromEntries(attributes),
      position: batch.position[index],
    };
  });
}

/** Decodes a body three times with one decoder: the second and third time the quick pass knows it. */
function decodeThrice(body: string, ndjson?: boolean) {
  const one = decoder();
  const outcomes = [1, 2, 3].map(() => {
    const batch = one.decode(Buffer.from(body), ndjson);
    return { events: events(batch), rejected: batch.rejected.map(({ index, reason }) => [index, reason]) };
  });
  expect(outcomes[1]).toEqual(outcomes[0]!);
  expect(outcomes[2]).toEqual(outcomes[0]!);
  return outcomes[0]!;
}

const ok = (name: string, body: string, want: readonly object[], ndjson?: boolean) =>
  test(name, () =>
    expect(decodeThrice(body, ndjson)).toMatchObject({ events: want as object[], rejected: [] }),
  );
const wrong = (name: string, body: string, want: readonly [number, string][], ndjson?: boolean) =>
  test(name, () => expect(decodeThrice(body, ndjson).rejected).toEqual(want as [number, string][]));
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

describe("bodies", () => {
  ok("one event", EVENT, [DECODED]);
  ok("one event over several lines", JSON.stringify(JSON.parse(EVENT), null, 2), [DECODED]);
  ok("an array", `[${EVENT}, ${EVENT}]`, [DECODED, { ...DECODED, position: 1 }]);
  ok("an empty array", " [ ] ", []);
  ok("lines", `${EVENT}\n${EVENT}\r\n\n${EVENT}`, [DECODED, DECODED, { ...DECODED, position: 2 }]);
  ok("lines without a line between them", `${EVENT}${EVENT}`, [DECODED, DECODED]);
  ok("a line that is a whole event by content type", EVENT, [DECODED], true);
  ok("white space around is nothing", `\n \t${EVENT}\n `, [DECODED]);

  bad("nothing", "  ", "the body is empty, expected an event");
  bad("no UTF-8", Uint8Array.of(0x7b, 0xff), "the body is not valid UTF-8");
  bad(
    "a cut array",
    `[${EVENT},`,
    `the body is no JSON: byte ${EVENT.length + 2} is the end, where a JSON value was expected`,
  );
  bad("a cut event", EVENT.slice(0, 40), "the body is no JSON: byte 40 is the end, inside a string");
  bad(
    "something behind the array",
    `[${EVENT}] x`,
    `byte ${EVENT.length + 3} of the body follows the end of the array`,
  );
  bad("a number", "12 13", "byte 3 of the body follows the end of the event");
  bad(
    "a comma too many",
    `[${EVENT},]`,
    `the body is no JSON: byte ${EVENT.length + 2} has "]" where a JSON value was expected`,
  );
});

describe("events", () => {
  ok("a byte order mark first", `\ufeff${EVENT}`, [{ value: 234.56 }]);
  ok("a byte order mark before lines", `\ufeff${EVENT}\n${EVENT}`, [{ value: 234.56 }, { value: 234.56 }]);
  ok("a byte order mark before an array", `\ufeff[${EVENT}]`, [{ value: 234.56 }]);
  ok("timestamp and name are other spellings", '{"timestamp":1,"name":"a","value":1}', [
    { metric: "a", us: 1000 },
  ]);
  ok("no time is the time of arrival", '{"name":"a","value":1}', [{ us: Number.NaN }]);
  ok("RFC 3339 to microseconds", '{"timestamp":"2024-01-01T01:00:00.123456789+01:00","name":"a","value":1}', [
    { us: 1704067200123456 },
  ]);
  ok("a fraction of a millisecond", '{"timestamp":1704067200000.5,"name":"a","value":1}', [
    { us: 1704067200000500 },
  ]);
  ok("numbers and booleans as tags", '{"name":"a","value":1,"tags":{"n":200,"f":1.50,"b":true}}', [
    { labels: { n: "200", f: "1.5", b: "true" } },
  ]);
  ok(
    "null and empty tags are left out",
    '{"name":"a","value":1,"tags":{"n":null,"e":"","task_id":"","x":"y"}}',
    [{ labels: { x: "y" }, attributes: {} }],
  );
  ok(
    "escapes",
    String.raw`{"name":"a\u0062","value":1,"tags":{"x":"\"\\\n\u00e9\ud83d\ude00","task_id":"\u0041"}}`,
    [{ metric: "ab", labels: { x: '"\\\né😀' }, attributes: { task_id: "A" } }],
  );
  ok(
    "a gauge has no attributes: every tag is identity",
    '{"type":"gauge","name":"a","value":-1,"tags":{"task_id":"t"}}',
    [{ kind: "gauge", labels: { task_id: "t" }, attributes: {} }],
  );
  ok("a gauge whose type comes last", '{"name":"a","value":1,"tags":{"task_id":"t"},"type":"gauge"}', [
    { kind: "gauge", labels: { task_id: "t" } },
  ]);
  ok("a counter", '{"name":"a","type":"counter","value":3,"unit":"bytes","tags":{"task_id":"t"}}', [
    { kind: "delta", unit: "bytes", attributes: { task_id: "t" } },
  ]);
  ok(
    "numbers of every form",
    '[{"name":"a","value":-0.5},{"name":"a","value":1e3},{"name":"a","value":12345678901234567890},{"name":"a","value":0.1234567890123456789},{"name":"a","value":-0}]',
    [
      { value: -0.5 },
      { value: 1000 },
      { value: 1.2345678901234567e19 },
      { value: 0.12345678901234568 },
      { value: -0 },
    ],
  );
  ok("the last of two equal fields counts", '{"name":"a","value":1,"value":2,"tags":{"x":"1","x":"2"}}', [
    { value: 2, labels: { x: "2" } },
  ]);

  wrong("no value", '{"name":"a"}', [[0, "value is missing, expected a number"]]);
  wrong("a value that is no number", '{"name":"a","value":"1"}', [
    [0, 'value is "1", expected a finite number'],
  ]);
  wrong("null", '{"name":"a","value":null}', [[0, "value is null, expected a finite number"]]);
  wrong("a number that is too large", '{"name":"a","value":1e999}', [
    [0, "value is Infinity, expected a finite number"],
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
  wrong("NaN spoils its event alone", `[{"name":"a","value":NaN},${EVENT}]`, [
    [
      0,
      'byte 21 of the body has "NaN},{\\"@time" where a JSON value was expected'.replace('},{\\"@time', "}"),
    ],
  ]);
  wrong("no name", '{"value":1}', [[0, "metric_name is missing, expected a name"]]);
  wrong("a name that is no string", '{"name":1,"value":1}', [[0, "metric_name is 1, expected a string"]]);
  wrong("a time that is none", '{"timestamp":"yesterday","name":"a","value":1}', [
    [0, '@timestamp is "yesterday", expected milliseconds since 1970 or an RFC 3339 time'],
  ]);
  for (const time of [
    "2024-02-30T00:00:00Z",
    "2023-02-29T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-00-01T00:00:00Z",
  ])
    wrong(`a time that is on no calendar: ${time}`, `{"timestamp":"${time}","name":"a","value":1}`, [
      [0, `@timestamp is "${time}", expected milliseconds since 1970 or an RFC 3339 time`],
    ]);
  wrong("a number past a double", '{"name":"a","value":-1e999}', [
    [0, "value is -Infinity, expected a finite number"],
  ]);
  wrong("characters of several bytes are quoted as they are", '[{"name":é,"value":1}]', [
    [0, 'byte 9 of the body has "é,\\"value\\":1" where a JSON value was expected'],
  ]);
  wrong("a type that is none", '{"type":"histogram","name":"a","value":1}', [
    [0, 'type is "histogram", expected observation, counter, gauge or cumulative'],
  ]);
  wrong("a counter that goes down", '{"type":"counter","name":"a","value":-1}', [
    [0, "value is -1, a counter's increment is not negative"],
  ]);
  wrong("a nested tag", '{"name":"a","value":1,"tags":{"x":{"y":1}}}', [
    [0, 'tags.x is {"y":1}, expected a string, a number or a boolean'],
  ]);
  wrong("tags that are no object", '{"name":"a","value":1,"tags":[1]}', [
    [0, "tags is [1], expected an object"],
  ]);
  wrong("an attribute that is too long", `{"name":"a","value":1,"tags":{"task_id":"${"x".repeat(4_097)}"}}`, [
    [0, "tags.task_id is 4097 bytes long, at most 4096 are taken (tagValueBytesMax)"],
  ]);
  const tags = Array.from({ length: 65 }, (_, n) => `"t${n}":"v"`).join(",");
  wrong("too many tags", `{"name":"a","value":1,"tags":{${tags}}}`, [
    [0, "there are 65 tags, at most 64 are taken (tagsMax)"],
  ]);
  wrong("a wrong line spoils no other", `${EVENT}\n{"name":\n${EVENT}\n[1]`, [
    [1, `byte ${EVENT.length + 9} of the body is the end, where a JSON value was expected`],
    [3, 'an event is an object, this is "[1]"'],
  ]);
});

test("a body has at most so many events", () => {
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

test("however many events are wrong, the others are kept and the wrong ones counted", () => {
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
    reason: "the event is wrong, as are more than 10000 before it",
    payload: "",
  });
});

test("equal label bytes give the same head, in one batch and the next", () => {
  const one = decoder();
  one.decode(Buffer.from(EVENT));
  const [first, second] = [one.decode(Buffer.from(`[${EVENT},${EVENT}]`)), one.decode(Buffer.from(EVENT))];
  expect(first.heads).toHaveLength(1);
  expect(second.heads[0]).toBe(first.heads[0]!);
});

test("a label that becomes an attribute is one from the next body on", () => {
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

/** Events in spellings of all kinds: few names, so that the quick pass meets what it knows. */
const tagValue = fc.oneof(
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
      "@timestamp": fc.oneof(fc.integer(), fc.double(), fc.constantFrom("2024-01-01T00:00:00Z", "no", null)),
      timestamp: fc.integer(),
      metric_name: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom("a", "b.c") },
        { weight: 1, arbitrary: fc.string() },
      ),
      name: fc.constantFrom("a", "n"),
      value: fc.oneof(fc.double(), fc.integer(), fc.float(), fc.constantFrom(null, "1")),
      tags: fc.dictionary(fc.constantFrom("task_id", "trace_id", "x", "y", "type"), tagValue, { maxKeys: 4 }),
      type: fc.constantFrom("observation", "counter", "gauge", "cumulative", "other"),
      unit: fc.constantFrom("ms", "bytes"),
    },
    { requiredKeys: ["value"] },
  )
  .chain((fields) =>
    fc
      .shuffledSubarray(Object.keys(fields), { minLength: Object.keys(fields).length })
      .map((keys) => Object.fromEntries(keys.map((key) => [key, fields[key as keyof typeof fields]]))),
  );

test("the quick pass and JSON.parse take the same from every event", () => {
  const one = decoder();
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), fc.constantFrom(undefined, 1), (list, indent) => {
      const body = JSON.stringify(list, null, indent);
      const want = (JSON.parse(body) as unknown[]).map((json) => checkEvent(json, LIMITS, isAttribute));
      for (let time = 0; time < 2; time++) {
        const batch = one.decode(Buffer.from(body));
        const got = new Map(events(batch).map((each) => [each.position, each]));
        want.forEach((each, index) => {
          if ("reason" in each) {
            expect(batch.rejected.find((rejection) => rejection.index === index)?.reason).toBe(each.reason);
            return;
          }
          expect(got.get(index)).toEqual({
            metric: each.head.metric,
            kind: each.head.kind,
            unit: each.head.unit,
            us: each.timestampUs,
            value: each.value,
            labels: Object.fromEntries(each.head.labels),
            attributes: Object.fromEntries(each.attributes),
            position: index,
          });
        });
      }
    }),
    { numRuns: 2_000, seed: 7 },
  );
});

test("no bytes make it throw anything but a clear refusal", () => {
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
    { numRuns: 3_000, seed: 7 },
  );
});
