/**
 * The decoder of the Influx line protocol: one line per case of the specification
 * (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/). The reasons are those with which InfluxDB
 * 1.6 answers the same line, unless a comment says otherwise.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Precision } from "../../../src/receive/influx/precision.ts";
import { runs } from "../../runs.ts";
import { decoded, decoderOf, type Known, textsOf } from "./decoded-lines.ts";

const ok = (line: string, ...want: string[]) =>
  test(`reads ${JSON.stringify(line)}`, () => expect(decoded(line)).toEqual(want));
const bad = (line: string, reason: string) =>
  test(`rejects ${JSON.stringify(line)}`, () => expect(decoded(line)).toEqual([`line 1: ${reason}`]));

describe("values", () => {
  ok("m f=1", "m_f 1");
  ok("m f=-1.5", "m_f -1.5");
  ok("m f=.5", "m_f 0.5");
  ok("m f=1.", "m_f 1");
  ok("m f=-0.0", "m_f -0");
  ok("m f=007", "m_f 7");
  ok("m f=1e3", "m_f 1000");
  ok("m f=1.5E-3", "m_f 0.0015");
  ok("m f=1e-400", "m_f 0");
  ok("m f=0.1234567890123456789", "m_f 0.12345678901234568");
  ok("m f=9007199254740993", "m_f 9007199254740992");
  ok("m f=12345678901234567890123", "m_f 1.2345678901234568e+22");
  ok("m f=1i", "m_f 1");
  ok("m f=-0i", "m_f 0");
  ok("m f=-12i", "m_f -12");
  ok("m f=1u", "m_f 1");
  ok("m f=9007199254740992i", "m_f 9007199254740992");
  // A power of two is exact. JavaScript prints its first 16 digits.
  ok("m f=-9223372036854775808i", "m_f -9223372036854776000");
  ok("m a=t,b=T,c=true,d=True,e=TRUE", "m_a 1", "m_b 1", "m_c 1", "m_d 1", "m_e 1");
  ok("m a=f,b=F,c=false,d=False,e=FALSE", "m_a 0", "m_b 0", "m_c 0", "m_d 0", "m_e 0");

  bad("m f=", "missing field value");
  bad("m f=,g=1", "missing field value");
  bad("m f=1e", "invalid float");
  bad("m f=1e400", "invalid float");
  bad("m f=-", "invalid number");
  bad("m f=--1", "invalid number");
  bad("m f=1.2.3", "invalid number");
  bad("m f=.", "invalid number");
  bad("m f=0x10", "invalid number");
  bad("m f=1_000", "invalid number");
  bad("m f=1.5i", "invalid number");
  bad("m f=1ii", "invalid number");
  bad("m f=1i2", "invalid number");
  bad("m f=-1u", "invalid number");
  bad("m f=i", "invalid boolean");
  bad("m f=tRUE", "invalid boolean");
  bad("m f=yes", "invalid boolean");
  bad("m f='x'", "invalid boolean");
  bad("m f=NaN", "invalid number");
  // InfluxDB says "invalid boolean" for the next two.
  bad("m f=Inf", "invalid number");
  bad("m f=+1", "invalid number");
  bad("m f=-Inf", "invalid number");
  bad("m f=9223372036854775808i", "unable to parse integer 9223372036854775808: value out of range");
  bad("m f=-9223372036854775809i", "unable to parse integer -9223372036854775809: value out of range");
  bad("m f=18446744073709551616u", "unable to parse integer 18446744073709551616: value out of range");
  bad(`m f=${"9".repeat(50)}i`, `unable to parse integer ${"9".repeat(40)}: value out of range`);

  test("warns about an integer that no 64-bit float holds, and stores the nearest", () => {
    expect(decoded("m a=9223372036854775807i,b=18446744073709551615u,c=-9007199254740993i")).toEqual([
      "m_a 9223372036854776000",
      "m_b 18446744073709552000",
      "m_c -9007199254740992",
      'line 1 warns: "a" is 9223372036854775807 and was stored as 9223372036854775808, the nearest 64-bit float',
      'line 1 warns: "b" is 18446744073709551615 and was stored as 18446744073709551616, the nearest 64-bit float',
      'line 1 warns: "c" is -9007199254740993 and was stored as -9007199254740992, the nearest 64-bit float',
    ]);
  });
});

describe("names and tags", () => {
  ok("m,b=2,a=1 f=1", 'm_f{a="1",b="2"} 1');
  ok("m,t=a\\,b\\ c\\=d f=1", 'm_f{t="a,b c=d"} 1');
  ok("a\\,b\\ c,t\\=x=1 f\\ g=1", 'a,b c_f g{t=x="1"} 1');
  // Only a measurement may contain an equals sign that is not escaped.
  ok("a=b f=1", "a=b_f 1");
  // A backslash before any other character is text, also before a backslash.
  ok("m,t=C:\\temp f=1", 'm_f{t="C:\\\\temp"} 1');
  ok("m,t=a\\\\,u f=1", 'm_f{t="a\\\\,u"} 1');
  ok('m,t="q" f=1', 'm_f{t="\\"q\\""} 1');
  ok("m,t=日本 f=1", 'm_f{t="日本"} 1');
  ok("m.n,k-l=1 f.g=1", 'm.n_f.g{k-l="1"} 1');
  ok("m time=1", "m_time 1");

  bad("m", "missing fields");
  // InfluxDB says "invalid field format".
  bad("m ", "missing fields");
  bad("m,t=1", "missing fields");
  bad("m f", "invalid field format");
  bad("m =1", "missing field key");
  bad("m f=1,", "invalid field format");
  bad("m f=1,,g=2", "invalid field format");
  bad("m f=1, g=2", "invalid field format");
  bad(",t=1 f=1", "missing measurement");
  bad("m,t f=1", "missing tag value");
  bad("m,t= f=1", "missing tag value");
  bad("m,t=,u=1 f=1", "missing tag value");
  bad("m,=1 f=1", "missing tag key");
  bad("m, f=1", "missing tag key");
  bad("m,t=1, f=1", "missing tag key");
  bad("m,t=1,t=2 f=1", "duplicate tags");
  bad("m,t=1,t=1 f=1", "duplicate tags");
  bad("m,task_id=1,task_id=2 f=1", "duplicate tags");
  bad("m,t=a=b f=1", "invalid tag format");
  // InfluxDB stores the last one. InfluxDB 3 rejects it in these words.
  bad("m f=1,f=2", 'multiple instances of "f" field found');
  bad("m f=1,f=1", 'multiple instances of "f" field found');
  // InfluxDB stores it.
  bad("m\0 f=1", "invalid NUL character");
  bad("m,t=a\0 f=1", "invalid NUL character");
  bad('m f=1,task_id="a\0"', "invalid NUL character");
  bad(
    `m,${Array.from({ length: 9 }, (_, index) => `t${index}=1`).join(",")} f=1`,
    "the line has 9 tags, at most 8 are accepted (tagsMax)",
  );
});

describe("limits", () => {
  bad(`${"m".repeat(511)} f=1`, "a name has 511 bytes, at most 255 are accepted (nameBytesMax)");
  bad(`m ${"f".repeat(511)}=1`, "a name has 511 bytes, at most 255 are accepted (nameBytesMax)");
  bad(`m ${"f=1,".repeat(10_000)}g=1`, "the line has more than 10000 fields");
});

describe("strings", () => {
  ok('m task_id="a",f=1', 'm_f 1 [task_id="a"] observation');
  ok('m f=1,task_id="a b,c=d"', 'm_f 1 [task_id="a b,c=d"] observation');
  ok('m task_id="say \\"hi\\" C:\\\\x \\n",f=1', 'm_f 1 [task_id="say \\"hi\\" C:\\\\x \\\\n"] observation');
  ok('m task_id="line1\nline2",f=1', 'm_f 1 [task_id="line1\\nline2"] observation');
  ok('m f=1,task_id=""', "m_f 1");

  bad('m s="x"', "the line has only string fields, expected a number or a boolean");
  bad('m task_id="x"', "the line has only string fields, expected a number or a boolean");
  bad('m s="x', "unbalanced quotes");
  bad('m s="x\\"', "unbalanced quotes");
  bad('m s="a"b"', "unbalanced quotes");
  bad('m s=x"', "invalid boolean");
  bad(
    `m f=1,task_id="${"x".repeat(33)}"`,
    '"task_id" is 33 bytes long, at most 32 are accepted (tagValueBytesMax)',
  );
  bad(
    `m,task_id=${"x".repeat(33)} f=1`,
    '"task_id" is 33 bytes long, at most 32 are accepted (tagValueBytesMax)',
  );
});

describe("times", () => {
  const at = (precision: Precision, time: string, want: string) =>
    test(`reads ${time} in ${precision}`, () =>
      expect(decoded(`m f=1 ${time}`, {}, precision)).toEqual([want]));

  at("ns", "1465839830100400200", "m_f 1 @1465839830100400");
  at("ns", "1465839830100400999", "m_f 1 @1465839830100400");
  at("ns", "0", "m_f 1 @0");
  at("ns", "999", "m_f 1 @0");
  at("ns", "1000", "m_f 1 @1");
  at("ns", "-1", "m_f 1 @-1");
  at("ns", "-1000", "m_f 1 @-1");
  at("ns", "-1465839830100400200", "m_f 1 @-1465839830100401");
  at("us", "1465839830100400", "m_f 1 @1465839830100400");
  at("ms", "1465839830100", "m_f 1 @1465839830100000");
  at("s", "1465839830", "m_f 1 @1465839830000000");
  at("m", "24430663", "m_f 1 @1465839780000000");
  at("h", "407177", "m_f 1 @1465837200000000");
  // The rule of InfluxDB 3: 5e9, 5e12 and 5e15 are the limits.
  at("auto", "1465839830", "m_f 1 @1465839830000000");
  at("auto", "4999999999", "m_f 1 @4999999999000000");
  at("auto", "5000000000", "m_f 1 @5000000000000");
  at("auto", "1465839830100", "m_f 1 @1465839830100000");
  at("auto", "1465839830100400", "m_f 1 @1465839830100400");
  at("auto", "1465839830100400200", "m_f 1 @1465839830100400");
  at("auto", "-1465839830", "m_f 1 @-1465839830000000");

  bad("m f=1 abc", "bad timestamp");
  bad("m f=1 1.5", "bad timestamp");
  bad("m f=1 -", "bad timestamp");
  bad("m f=1 1e9", "bad timestamp");
  bad('m f=1 "1"', "bad timestamp");
  bad("m f=1 1 2", "point is invalid");
  bad("m f=1 99999999999999999999", "time outside range -9223372036854775806 - 9223372036854775806");
  test("rejects a time that 64-bit nanoseconds do not hold", () =>
    expect(decoded("m f=1 1000000000000000", {}, "h")).toEqual([
      "line 1: time outside range -9223372036854775806 - 9223372036854775806",
    ]));
});

describe("lines", () => {
  ok("");
  ok("\n\n");
  ok("# m f=1\n\t# n f=1\n");
  ok("m f=1\r\nn f=2 1000\r\n\r\no f=3\r", "m_f 1", "n_f 2 @1", "o_f 3");
  ok("  m   f=1   1000  \n\tn f=2", "m_f 1 @1", "n_f 2");
  ok("m f=1\nn\nm g=2", "m_f 1", "m_g 2", "line 2: missing fields");
  ok('m task_id="a\nb\n",f=1\nn', 'm_f 1 [task_id="a\\nb\\n"] observation', "line 4: missing fields");
  // The text of a string is no line, also if its line is invalid.
  ok('m s="a\nn f=1\n",f=x\nm f=2', "m_f 2", "line 1: invalid boolean");
  // A string that does not end costs its own line only.
  ok('m s="a\nn f=1\no f=2', "n_f 1", "o_f 2", "line 1: unbalanced quotes");
  ok('m f="\nn f=1\n# "', "line 1: the line has only string fields, expected a number or a boolean");

  test("rejects bytes that are not UTF-8 with their position, and keeps the other lines", () => {
    const body = Buffer.concat([Buffer.from("m,t=\xe9 f=1\n", "latin1"), Buffer.from("m,t=é f=2\n")]);
    expect(decoded(body)).toEqual(['m_f{t="é"} 2', "line 1: byte 4 is 0xe9, which is not valid UTF-8"]);
  });

  test("reads a body in which each line opens a string to the end of the body, without reading it again and again", () => {
    // Quadratic work over 20,000 lines of 7 bytes would be 1.4 GB.
    const lines = 20_000;
    const { batch, lineCount } = decoderOf().decode(new TextEncoder().encode('"x b="\n'.repeat(lines)), "ns");
    expect([batch.length, lineCount]).toEqual([0, lines]);
    expect(batch.rejected[0]!.reason).toBe("unbalanced quotes");
  });

  test("rejects a body with too many numbers as a whole", () => {
    const fields = Array.from({ length: 2_001 }, (_, index) => `f${index}=1`).join(",");
    expect(() => decoded(`m ${fields}\n`.repeat(10))).toThrow(
      "the body has more than 20000 fields with numbers (eventsMax), send it in parts",
    );
  });

  test("rejects a body with too many invalid lines as a whole", () => {
    expect(() => decoded("m\n".repeat(20_001))).toThrow(
      "the body has more than 20000 invalid lines (eventsMax), send it in parts",
    );
  });

  test("describes the first 10,000 invalid lines, and counts the rest", () => {
    const { rejected } = decoderOf().decode(new TextEncoder().encode("m\n".repeat(10_002)), "ns").batch;
    expect([rejected.length, rejected[9_999]!.reason, rejected[10_001]!.payload]).toEqual([
      10_002,
      "missing fields",
      "",
    ]);
  });
});

describe("kinds", () => {
  const kinds = (line: string, known: Known, ...want: string[]) =>
    test(`${line} with ${JSON.stringify(known)}`, () => expect(decoded(line, known)).toEqual(want));

  kinds(
    "m,task_id=a,t=1 f=1,g=2",
    {},
    'm_f{t="1"} 1 [task_id="a"] observation',
    'm_g{t="1"} 2 [task_id="a"] observation',
  );
  kinds('m,task_id=a f=1,trace_id="b"', {}, 'm_f 1 [task_id="a",trace_id="b"] observation');
  kinds("m,t=1 f=1", { events: ["m"] }, 'm_f{t="1"} 1 observation');
  kinds('m,t=1 f=1,s="x",r=""', { events: ["m"] }, 'm_f{s="x",t="1"} 1 observation');
  // A metric that is stored keeps its kind.
  kinds("m,t=1 f=1,g=2", { kinds: { m_f: "observation" } }, 'm_f{t="1"} 1 observation', 'm_g{t="1"} 2');
  kinds(
    'm f=1,g=2,s="x"',
    { kinds: { m_f: "observation" } },
    'm_f{s="x"} 1 observation',
    "m_g 2",
    'line 1 warns: the string field "s" was not stored, because "m_g" is a gauge: send it as a tag, or add the measurement to influxEvents',
  );
  kinds('m,task_id=a f=1,task_id="b"', {}, 'line 1: "task_id" is both a tag and a string field of the line');
  kinds('m,t=a f=1,t="b"', { events: ["m"] }, 'line 1: "t" is both a tag and a string field of the line');
  // A label that was demoted for all metrics of the line, and one that was demoted for one of them.
  kinds("m,task_id=a,user=u f=1", { demoted: { m_f: ["user"] } }, 'm_f 1 [task_id="a",user="u"] observation');
  kinds(
    "m,task_id=a,user=u f=1,g=2",
    { demoted: { m_f: ["user"] } },
    'm_f 1 [task_id="a",user="u"] observation',
    'm_g{user="u"} 2 [task_id="a"] observation',
  );
  kinds(
    'm f=1,task_id="a",user="u"',
    { demoted: { m_f: ["user"] } },
    'm_f 1 [task_id="a",user="u"] observation',
  );
  kinds("m value=1,f=2", { valueSuffix: false }, "m 1", "m_f 2");
  kinds("m value=1", { separator: "." }, "m.value 1");
});

describe("a decoder that remembers lines", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);

  test("reads each body as a new decoder does, whatever it read before", () => {
    const names = ["m", "n", "a\\,b"];
    const line = fc
      .record({
        name: fc.constantFrom(...names),
        tags: fc.uniqueArray(fc.constantFrom("t=1", "u=x\\ y", "task_id=a", "user=u1", "user=u2"), {
          selector: (tag) => tag.split("=")[0],
        }),
        fields: fc.uniqueArray(
          fc.constantFrom(
            "f=1",
            "g=2i",
            "h=t",
            's="x"',
            's="y\\"z"',
            'task_id="b"',
            'trace_id="c"',
            "value=3",
            "bad",
          ),
          { selector: (field) => field.split("=")[0], minLength: 1 },
        ),
        time: fc.constantFrom("", " 1000", " 2000", " x"),
      })
      .map(({ name, tags, fields, time }) => `${[name, ...tags].join(",")} ${fields.join(",")}${time}`);
    const known: Known = {
      demoted: { m_f: ["user"], m_g: ["user", "s"], n_f: ["s"] },
      kinds: { m_f: "observation", m_g: "observation", n_f: "observation", n_g: "observation" },
    };
    const decoder = decoderOf(known);
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        const body = lines.join("\n");
        expect(textsOf(decoder.decode(bytes(body), "ns").batch)).toEqual(decoded(body, known));
      }),
      runs(400),
    );
  });

  test("adds each series once to a batch, in many spellings of fields", () => {
    const decoder = decoderOf();
    const fields = Array.from({ length: 40 }, (_, index) => `f${index}=1`);
    const body = bytes(`m ${fields.join(",")}\nm ${fields.toReversed().join(",")}`);
    for (let round = 0; round < 2; round++) {
      const { batch } = decoder.decode(body, "ns");
      expect([batch.length, batch.heads.length]).toEqual([80, 40]);
    }
  });

  test("keeps one entry for lines that differ in what identifies them", () => {
    const decoder = decoderOf();
    const line = (index: number) => `m,t=1,task_id=a${index},u=2 f=1,trace_id="b${index}"`;
    const { batch } = decoder.decode(
      bytes(Array.from({ length: 100 }, (_, index) => line(index)).join("\n")),
      "ns",
    );
    expect(batch.heads.length).toBe(1);
    expect(textsOf(batch)[99]).toBe('m_f{t="1",u="2"} 1 [task_id="a99",trace_id="b99"] observation');
  });
});

test("any bytes are read without an error or a hang, and each line has a sample or a reason", () => {
  const piece = fc.constantFrom(
    ...'m,= "\\\n\r\t#',
    "m f=1",
    'task_id="',
    "t=1",
    "1i",
    "-",
    "é",
    "\0",
    " 1000\n",
    "true",
  );
  const decoder = decoderOf();
  const anything = fc.oneof(
    fc.array(piece, { maxLength: 60 }).map((parts) => Buffer.from(parts.join(""))),
    fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
  );
  fc.assert(
    fc.property(anything, (body) => {
      const { batch, lineCount } = decoder.decode(body, "auto");
      const lines = new Set([
        ...batch.position.subarray(0, batch.length),
        ...batch.rejected.map(({ index }) => index),
      ]);
      expect(lines.size).toBe(lineCount);
    }),
    runs(500),
  );
});
