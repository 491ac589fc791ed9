/** Events that the loops in WebAssembly read are decoded as JavaScript decodes them, whatever came before. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Batch } from "../../../src/model/sample.ts";
import { EventDecoder } from "../../../src/receive/events/events.ts";
import { DEFAULTS } from "../../defaults.ts";
import { runs } from "../../runs.ts";

const EVENTS_MAX = 5_000;
const ATTRIBUTES = ["task_id", "request_id"];

function decoder(usesLoops: boolean, epoch = () => 0): EventDecoder {
  return new EventDecoder({
    nameBytesMax: DEFAULTS.nameBytesMax,
    tagsMax: 8,
    tagValueBytesMax: 200,
    eventsMax: EVENTS_MAX,
    isAttribute: (_, tag) => ATTRIBUTES.includes(tag),
    attributesOf: () => ATTRIBUTES,
    epoch,
    usesLoops,
  });
}

/** Everything that a batch says, event by event. */
function said(batch: Batch): unknown {
  const text = Buffer.from(batch.text);
  const events = Array.from({ length: batch.length }, (_, index) => {
    const { labels, ...head } = batch.heads[batch.head[index]!]!;
    const attributes = batch.attributes.flatMap(({ name, offset, length }) =>
      length[index]! > 0
        ? [`${name}=${text.toString("utf8", offset[index]!, offset[index]! + length[index]!)}`]
        : [],
    );
    return {
      head: JSON.stringify(head),
      labels: [...labels].join(" "),
      us: batch.timestampUs[index],
      value: batch.value[index],
      isStale: batch.stale?.[index] === 1,
      position: batch.position[index],
      attributes: attributes.sort(),
    };
  });
  return { events, rejected: batch.rejected, warnings: batch.warnings };
}

function outcome(of: EventDecoder, body: string): unknown {
  try {
    return said(of.decode(Buffer.from(body)));
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

/** Numbers and texts as they stand in a body. */
const number = fc.oneof(
  fc.integer({ min: -5, max: 1_000 }).map(String),
  fc.double({ noNaN: true, min: 0, max: 1e6 }).map((value) => value.toFixed(3)),
  fc.constantFrom(
    "0",
    "-0",
    "-0.5",
    "0.000001",
    "123456789012345",
    "1234567890123456",
    "1e3",
    "2E-2",
    "00",
    "1.",
  ),
);
const time = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }).map(String),
  fc.constantFrom(
    "1700000000000.5",
    "1700000000000.1234",
    "-1",
    "9000000000000",
    "9000000000001",
    "0",
    "-0.0005",
  ),
);
const text = fc.oneof(
  fc.constantFrom('"a"', '"b"', '"done"', '"a long text of more than sixteen bytes"', '"é – ü"'),
  fc.constantFrom(
    '""',
    '"with \\"escape\\""',
    '"\\u0041"',
    "12",
    "true",
    "null",
    `"${"x".repeat(201)}"`,
    '"\t"',
  ),
  fc.nat(300).map((id) => `"task-${id}"`),
);

const tags = fc
  .array(fc.tuple(fc.constantFrom("task_id", "domain", "status", "request_id", "zone"), text), {
    maxLength: 4,
  })
  .map((pairs) => `{${pairs.map(([name, value]) => `"${name}":${value}`).join(",")}}`);

/** The fields of an event, in an order of the sender. */
const event = fc
  .record({
    time,
    number,
    tags,
    name: fc.constantFrom("requests", "work.ms", "size"),
    type: fc.constantFrom("", '"type":"counter"', '"type":"gauge"', '"type":"observation","unit":"ms"'),
    order: fc.constantFrom(0, 0, 0, 1, 2),
    space: fc.constantFrom("", "", "", " "),
  })
  .map(({ time: at, number: value, tags: labels, name, type, order, space }) => {
    const fields = [
      `"@timestamp":${space}${at}`,
      `"metric_name":"${name}"`,
      ...(type === "" ? [] : [type]),
      `"value":${value}`,
      `"tags":${space}${labels}`,
    ];
    if (order === 1) fields.reverse();
    if (order === 2) fields.shift();
    return `{${fields.join(`,${space}`)}}`;
  });

/** Events that repeat, so that the loops learn them; now and then other ones. */
const body = fc
  .record({
    few: fc.array(event, { minLength: 1, maxLength: 6 }),
    picks: fc.array(fc.nat(1_000), { minLength: 50, maxLength: 70 }),
    others: fc.array(fc.tuple(fc.nat(100), event), { maxLength: 3 }),
    form: fc.constantFrom("array", "lines", "wide array", "lines with space"),
    end: fc.constantFrom("", "", "", "cut", " x"),
  })
  .map(({ few, picks, others, form, end }) => {
    const list = picks.map((pick) => few[pick % few.length]!);
    for (const [at, other] of others) list[at % list.length] = other;
    const whole =
      form === "array"
        ? `[${list.join(",")}]`
        : form === "wide array"
          ? ` [ ${list.join(" ,\n ")} ]\n`
          : form === "lines"
            ? `${list.join("\n")}\n`
            : `${list.join(" \r\n\n")}`;
    return end === "cut" ? whole.slice(0, -15) : whole + end;
  });

test("a sequence of bodies has the same events, rejections, warnings and errors", () => {
  fc.assert(
    fc.property(fc.array(body, { minLength: 1, maxLength: 3 }), (bodies) => {
      const [loops, alone] = [decoder(true), decoder(false)];
      // Each body twice: the second time most events are known.
      for (const each of bodies.flatMap((one) => [one, one]))
        expect(outcome(loops, each)).toEqual(outcome(alone, each));
    }),
    runs(25),
  );
});

const eventOf = (at: number, fields = "") =>
  `{"@timestamp":${1_704_067_200_000 + at},"metric_name":"m","type":"observation","value":${at}.25,` +
  `"tags":{"task_id":"t${at}","domain":"d${at % 7}"${fields}}}`;

test("events of known labels are read by the loops alone, in any order and with new values of attributes", () => {
  const one = decoder(true);
  const listOf = (from: number, count: number, step = 1) =>
    `[${Array.from({ length: count }, (_, at) => eventOf(from + ((at * step) % count))).join(",")}]`;
  for (let time = 0; time < 3; time++) one.decode(Buffer.from(listOf(0, 100)));
  const before = one.scans;
  // More than a call of the loops reads.
  const { length, text, attributes } = one.decode(Buffer.from(listOf(200, 4_500, 1_000_003)));
  expect(one.scans).toBe(before);
  expect(length).toBe(4_500);
  const [{ offset, length: bytes }] = attributes as [(typeof attributes)[number]];
  const last = Buffer.from(text).toString("utf8", offset[4_499]!, offset[4_499]! + bytes[4_499]!);
  expect(last).toBe(`t${200 + ((4_499 * 1_000_003) % 4_500)}`);
});

test("the limit of events applies to events that the loops read", () => {
  const list = Array.from({ length: EVENTS_MAX + 1 }, (_, at) => eventOf(at));
  for (const count of [EVENTS_MAX, EVENTS_MAX + 1]) {
    const text = `[${list.slice(0, count).join(",")}]`;
    const [loops, alone] = [decoder(true), decoder(false)];
    loops.decode(Buffer.from(`[${list.slice(0, 100).join(",")}]`));
    const found = outcome(loops, text);
    expect(JSON.stringify(found) === JSON.stringify(outcome(alone, text))).toBe(true);
    if (count > EVENTS_MAX)
      expect(found).toBe(
        `TooLarge: the body has more than ${EVENTS_MAX} events (eventsMax), send it in parts`,
      );
  }
});

test("texts of more than a call has room for, and more layouts and labels than are remembered", () => {
  const [loops, alone] = [decoder(true), decoder(false)];
  const long = (at: number) => `,"request_id":"${`${at}`.padStart(190, "r")}"`;
  const many = [
    Array.from({ length: 3_000 }, (_, at) => eventOf(at, long(at))),
    Array.from({ length: 200 }, (_, at) => eventOf(at, `,"key${at % 50}":"v"`)),
    Array.from({ length: 4_900 }, (_, at) => eventOf(at, `,"zone":"${at}"`)),
    Array.from({ length: 4_900 }, (_, at) => eventOf(at, `,"rack":"${at}"`)),
    Array.from({ length: 3_000 }, (_, at) => eventOf(at, long(at))),
  ];
  for (const list of many.flatMap((one) => [one, one])) {
    const text = list.join("\n");
    expect(JSON.stringify(outcome(loops, text)) === JSON.stringify(outcome(alone, text))).toBe(true);
  }
});

test("a label that becomes an attribute is one in the next body", () => {
  let epoch = 0;
  const [loops, alone] = [decoder(true, () => epoch), decoder(false, () => epoch)];
  const text = Array.from({ length: 300 }, (_, at) => eventOf(at)).join("\n");
  for (const next of [0, 0, 1, 1]) {
    epoch = next;
    expect(outcome(loops, text)).toEqual(outcome(alone, text));
    ATTRIBUTES.push("domain");
  }
  ATTRIBUTES.splice(2);
});
