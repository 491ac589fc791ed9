/** Pushes through the real decoder, ingest and store: the answers, and what is stored afterwards. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import zlib from "node:zlib";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

/** Smaller than the defaults, so that the tests need less data. */
const LIMITS = { bodyBytesMax: 2 ** 20, inflatedBytesMax: 2 ** 22 };

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGatewayAt(
    NOW_MS,
    `--body-bytes-max=${LIMITS.bodyBytesMax}`,
    `--inflated-bytes-max=${LIMITS.inflatedBytesMax}`,
  );
});
afterAll(() => gateway.close());

interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & { error?: { code: string; message: string; field?: string } };
}

async function push(
  body: Bun.BodyInit,
  path = "",
  headers: Record<string, string> = {},
  to = gateway,
): Promise<Answer> {
  const request = new Request(`http://localhost:9091/api/v1/push${path}`, { method: "POST", body, headers });
  const response = await to.app.fetch(request);
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Answer["body"],
  };
}

const T = 1_704_067_200_000;
/** The answer to a statement, as CSV. */
async function ask(sql: string): Promise<string> {
  const request = new Request("http://localhost:9091/api/v1/sql?format=csv", { method: "POST", body: sql });
  return await (await gateway.app.fetch(request)).text();
}

let names = 0;
/** A metric that no other test has. */
const fresh = () => `test.metric_${++names}`;
const event = (metric_name: string, fields: object = {}) => ({
  "@timestamp": T,
  metric_name,
  value: 1,
  ...fields,
});
/** The stored samples of a metric, sorted by value. */
const stored = (metric: string) =>
  gateway.query(
    `SELECT value, live, labels['job'] AS job, labels['instance'] AS instance, cardinality(labels) AS labels
     FROM weir.samples_20240101 JOIN weir.series USING (series_id) WHERE metric = '${metric}' ORDER BY value`,
  );

describe("stores the accepted events of", () => {
  const ok = (
    name: string,
    body: (metric: string) => Bun.BodyInit,
    count: number,
    headers: Record<string, string> = {},
  ) =>
    test(name, async () => {
      const metric = fresh();
      const { status, body: answer, headers: got } = await push(body(metric), "", headers);
      expect(answer).toEqual({ accepted: count, rejected: 0, errors: [] });
      expect(status).toBe(200);
      expect(got.get("weir-durability")).toBe("committed");
      expect(got.get("weir-duplicate")).toBeNull();
      expect(await stored(metric)).toHaveLength(count);
    });
  const two = (metric: string) => [event(metric), event(metric, { value: 2 })];
  const lines = (metric: string) =>
    two(metric)
      .map((each) => `${JSON.stringify(each)}\n`)
      .join("");
  ok("one event", (metric) => JSON.stringify(event(metric)), 1);
  ok("an array", (metric) => JSON.stringify(two(metric)), 2);
  ok("NDJSON", lines, 2);
  ok("NDJSON with its content type", lines, 2, { "content-type": "application/x-ndjson" });
  ok("a JSON array with the content type of curl -d", (metric) => JSON.stringify(two(metric)), 2, {
    "content-type": "application/x-www-form-urlencoded",
  });
  ok("gzip", (metric) => zlib.gzipSync(lines(metric)), 2, { "content-encoding": "gzip" });
  ok("zstd", (metric) => zlib.zstdCompressSync(JSON.stringify(two(metric))), 2, {
    "content-encoding": "zstd",
  });

  test("an empty array, which is 200 with no events", async () => {
    const { status, body } = await push("[]");
    expect(status).toBe(200);
    expect(body).toEqual({ accepted: 0, rejected: 0, errors: [] });
  });

  test("a push with extra labels, which are added to events without such a tag", async () => {
    const metric = fresh();
    const events = [event(metric), event(metric, { value: 2, tags: { job: "own" } })];
    const path = "?extra_label=job=a%3Db&extra_label=instance=w1&extra_label=empty=";
    expect((await push(JSON.stringify(events), path)).status).toBe(200);
    expect(await stored(metric)).toMatchObject([
      { value: 1, job: "a=b", instance: "w1", labels: 2 },
      { value: 2, job: "own", instance: "w1", labels: 2 },
    ]);
  });

  test("a repeated gauge, which counts as a duplicate and not as an error", async () => {
    const body = JSON.stringify(event(fresh(), { type: "gauge" }));
    expect((await push(body)).body).toEqual({ accepted: 1, rejected: 0, errors: [] });
    const { status, body: answer } = await push(body);
    expect(answer).toEqual({ accepted: 0, duplicates: 1, rejected: 0, errors: [] });
    expect(status).toBe(200);
  });
});

describe("rejects invalid events by index and stores the valid ones", () => {
  test("in a body with both", async () => {
    const metric = fresh();
    const events = [
      event(metric),
      event(metric, { value: "7" }),
      event("", { value: 3 }),
      event(metric, { value: 4 }),
      event(metric, { "@timestamp": NOW_MS + 600_001 }),
    ];
    const { status, body } = await push(JSON.stringify(events));
    expect(status).toBe(200);
    expect(body.accepted).toBe(2);
    expect(body.rejected).toBe(3);
    const errors = body.errors as { index: number; reason: string }[];
    expect(errors.map(({ index }) => index)).toEqual([1, 2, 4]);
    expect(errors[0].reason).toContain('value is "7"');
    expect((await stored(metric)).map(({ value }) => value)).toEqual([1, 4]);
    const dead = await gateway.query("SELECT reason FROM rejected ORDER BY reason");
    expect(dead.map(({ reason }) => reason)).toContain(errors[0].reason);
  });

  test("answers 400 with counts, reasons and an error if no event is valid", async () => {
    const { status, body } = await push(JSON.stringify([event(fresh(), { value: null })]));
    expect(status).toBe(400);
    expect(body).toMatchObject({
      accepted: 0,
      rejected: 1,
      errors: [{ index: 0 }],
      error: { code: "bad_input" },
    });
    expect(body.error?.message).toStartWith("No event could be accepted; the first: ");
  });

  test("lists the first thousand reasons and counts the others", async () => {
    const metric = fresh();
    const events = Array.from({ length: 1_250 }, (_, i) => event(metric, i === 0 ? {} : { value: true }));
    const { status, body } = await push(JSON.stringify(events));
    expect(status).toBe(200);
    expect(body).toMatchObject({ accepted: 1, rejected: 1_249, errorsOmitted: 249 });
    expect((body.errors as { index: number }[]).map(({ index }) => index)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i + 1),
    );
  });

  const one = (name: string, fields: object, reason: RegExp) =>
    test(`such as an event with ${name}`, async () => {
      const metric = fresh();
      const { body } = await push(JSON.stringify([event(metric), { ...event(metric), ...fields }]));
      expect(body).toMatchObject({ accepted: 1, rejected: 1 });
      expect(body.errors).toEqual([{ index: 1, reason: expect.stringMatching(reason) }]);
      expect(await stored(metric)).toHaveLength(1);
    });
  const tags = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, "x"]));
  one("a value that is text", { value: "234" }, /value is "234"/);
  one("a value of null", { value: null }, /value is null/);
  one("no value", { value: undefined }, /value is missing/);
  one("an empty name", { metric_name: "" }, /metric_name is empty/);
  one("no name", { metric_name: undefined }, /metric_name is missing/);
  one("a name that is a number", { metric_name: 7 }, /metric_name is 7/);
  one("a name of 256 bytes", { metric_name: "n".repeat(256) }, /longer than 255 bytes/);
  one("65 tags", { tags: tags(65) }, /65 tags, at most 64/);
  one("a tag value of 4097 bytes", { tags: { url: "x".repeat(4097) } }, /4097 bytes long, at most 4096/);
  one("an attribute of 4097 bytes", { tags: { task_id: "x".repeat(4097) } }, /4097 bytes long, at most 4096/);
  one("a tag that is an object", { tags: { a: {} } }, /tags\.a is \{\}/);
  one("tags in an array", { tags: ["a"] }, /tags is \["a"\]/);
  one("a time that is not a time", { "@timestamp": "yesterday" }, /@timestamp is "yesterday"/);
  one("a time before retention", { "@timestamp": T - 9 * 86_400_000 }, /retention/i);
  one("a time too far ahead", { "@timestamp": NOW_MS + 600_001 }, /ahead|future/i);
  one("an unknown type", { type: "histogram" }, /type is "histogram"/);
  one("a reserved label", { tags: { le: "5" } }, /"le" is reserved/);
  test("accepts 64 tags, a name of 255 bytes and a value of 4096 bytes", async () => {
    const metric = "m".repeat(255);
    const fields = { tags: { ...tags(63), url: "x".repeat(4096) } };
    expect((await push(JSON.stringify(event(metric, fields)))).body).toMatchObject({
      accepted: 1,
      rejected: 0,
    });
  });

  test("reports NaN and Infinity, which are not JSON, by their byte", async () => {
    const metric = fresh();
    for (const word of ["NaN", "Infinity", "-Infinity", "nan", "1e", "01", "+1"]) {
      const before = `[{"metric_name":"${metric}","value":`;
      const answer = await push(`${before}${word}}]`);
      expect(answer.status).toBe(400);
      const [{ reason }] = answer.body.errors as { reason: string }[];
      const byte = Number(/^byte (\d+) of the body/.exec(reason)?.[1]);
      expect(byte).toBeWithin(before.length, before.length + word.length + 1);
    }
    const huge = await push(`[{"metric_name":"${metric}","value":1e999}]`);
    expect(huge.status).toBe(400);
    expect((huge.body.errors as { reason: string }[])[0].reason).toContain("expected a finite number");
  });
});

describe("parts that are not stored as they were sent are warnings in the answer, counters and log", () => {
  const HINT = 'the field "labels" is unknown and was not stored; did you mean "tags"?';
  const counted = async (field: string) => {
    const { values } = await gateway.counters.eventWarnings.get();
    return values.find(({ labels }) => labels.field === field)?.value ?? 0;
  };

  const unknown = async (field: string) => {
    const { values } = await gateway.counters.eventUnknownFields.get();
    return values.find(({ labels }) => labels.field === field)?.value ?? 0;
  };

  test("for unknown fields", async () => {
    gateway.takeLog();
    const before = { labels: await counted("labels"), other: await counted("other") };
    const metric = fresh();
    const events = [
      event(metric),
      event(metric, { value: 2, labels: { job: "x" } }),
      event(metric, { value: 3, labels: {}, pod: "p" }),
    ];
    const { status, headers, body } = await push(JSON.stringify(events));
    expect(status).toBe(200);
    expect(headers.get("weir-warnings")).toBe("3");
    const pod = 'the field "pod" is unknown and was not stored; to keep it, send it in "tags"';
    expect(body).toEqual({
      accepted: 3,
      rejected: 0,
      errors: [],
      warnings: [
        { index: 1, field: "labels", message: HINT, events: 2 },
        { index: 2, field: "pod", message: pod },
      ],
    });
    expect(await stored(metric)).toMatchObject([{ job: null }, { job: null }, { job: null }]);
    expect((await counted("labels")) - before.labels).toBe(2);
    expect((await counted("other")) - before.other).toBe(1);
    expect(await unknown("labels")).toBe(2);
    expect(await unknown("pod")).toBe(1);
    const lines = gateway.takeLog().map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map((line) => [line.field, line.what, line.metric])).toEqual([
      ["labels", HINT, metric],
      ["pod", pod, metric],
    ]);
    await push(JSON.stringify(events));
    expect(gateway.takeLog()).toEqual([]);
  });

  test("for fields in thousands of names: the answer and the counters stay small", async () => {
    const own = await openTestGatewayAt(NOW_MS);
    try {
      const events = Array.from({ length: 5_000 }, (_, n) =>
        event("counted", {
          value: n,
          tipe: "gauge",
          [`${"x".repeat(200)}${n % 2_500}_${n}`]: 1,
          [`f${n}`]: 1,
        }),
      );
      const { status, headers, body } = await push(JSON.stringify(events), "", {}, own);
      expect(status).toBe(200);
      expect(headers.get("weir-warnings")).toBe("15000");
      const listed = body.warnings as { field: string; events?: number }[];
      expect(listed).toHaveLength(1_000);
      expect(listed[0]).toMatchObject({ field: "tipe", events: 5_000 });
      // Long names are quoted to their 40th character, and all of them are then one field.
      expect(listed[1]).toMatchObject({ field: `${"x".repeat(40)}…`, events: 5_000 });
      expect(body.warningsOmitted).toBe(15_000 - 10_000 - 998);
      expect(JSON.stringify(body).length).toBeLessThan(200_000);
      const { values } = await own.counters.eventUnknownFields.get();
      expect(values).toHaveLength(101);
      const by = new Map(values.map(({ labels, value }) => [labels.field, value]));
      expect([by.get("tipe"), by.get("other")]).toEqual([5_000, 5_000 - 98]);
      own.takeLog();
    } finally {
      await own.close();
    }
  });

  test("an answer without warnings does not mention them", async () => {
    const { headers, body } = await push(JSON.stringify(event(fresh())));
    expect(headers.get("weir-warnings")).toBeNull();
    expect(body).toEqual({ accepted: 1, rejected: 0, errors: [] });
  });

  test("for a value that no float represents", async () => {
    gateway.takeLog();
    const metric = fresh();
    const { body } = await push(
      `{"@timestamp":${T},"metric_name":"${metric}","type":"gauge","value":9007199254740993}`,
    );
    const message = "value 9007199254740993 was stored as 9007199254740992, the nearest 64-bit float";
    expect(body).toMatchObject({ accepted: 1, warnings: [{ index: 0, field: "value", message }] });
    expect(await stored(metric)).toMatchObject([{ value: 9007199254740992 }]);
    expect(gateway.takeLog()).toHaveLength(1);
  });

  test("the first thousand are listed, the others counted", async () => {
    const metric = fresh();
    const events = Array.from({ length: 1_200 }, (_, n) => event(metric, { [`field_${n}`]: 1 }));
    const { headers, body } = await push(JSON.stringify(events));
    expect(headers.get("weir-warnings")).toBe("1200");
    expect(body.warnings).toHaveLength(1_000);
    expect(body.warningsOmitted).toBe(200);
    gateway.takeLog();
  });

  test("strict=true rejects such an event instead, and stores the others", async () => {
    const metric = fresh();
    const events = [event(metric), event(metric, { labels: {} })];
    const { status, headers, body } = await push(JSON.stringify(events), "?strict=true");
    expect(status).toBe(200);
    expect(headers.get("weir-warnings")).toBeNull();
    expect(body).toEqual({
      accepted: 1,
      rejected: 1,
      errors: [{ index: 1, reason: 'the field "labels" is unknown; did you mean "tags"?' }],
    });
    expect(await stored(metric)).toHaveLength(1);
  });

  test("the setting strictEvents does so for all pushes without strict=false", async () => {
    const strict = await openTestGatewayAt(NOW_MS, "--strict-events");
    try {
      const body = JSON.stringify(event(fresh(), { tag: { a: "b" } }));
      const refused = await push(body, "", {}, strict);
      expect(refused.status).toBe(400);
      expect(refused.body.error?.message).toBe(
        'No event could be accepted; the first: the field "tag" is unknown; did you mean "tags"?',
      );
      expect((await push(body, "?strict=false", {}, strict)).body).toMatchObject({ accepted: 1 });
      expect(strict.takeLog()).toHaveLength(1);
    } finally {
      await strict.close();
    }
  });

  test("a repeat of a push gets the same warnings, which count once", async () => {
    const before = await counted("labels");
    const body = JSON.stringify(event(fresh(), { labels: {} }));
    const key = { "idempotency-key": `warned ${names}` };
    const [first, again] = [await push(body, "", key), await push(body, "", key)];
    expect(again.headers.get("weir-duplicate")).toBe("true");
    expect(again.body).toEqual(first.body);
    expect(again.headers.get("weir-warnings")).toBe("1");
    expect((await counted("labels")) - before).toBe(1);
    gateway.takeLog();
  });

  test("at most a hundred fields are logged, however many a sender invents", async () => {
    const other = await openTestGatewayAt(NOW_MS);
    try {
      const events = Array.from({ length: 150 }, (_, n) => event(fresh(), { [`made_up_${n}`]: 1 }));
      expect((await push(JSON.stringify(events), "", {}, other)).body.accepted).toBe(150);
      // The log itself drops all but 50 lines per second.
      expect(other.takeLog().length).toBeLessThanOrEqual(101);
    } finally {
      await other.close();
    }
  });
});

describe("ids beyond 2^53 keep their digits", () => {
  test("in labels, attributes and gauges", async () => {
    const [gauge, observation] = [fresh(), fresh()];
    const lines = [
      `{"@timestamp":${T},"metric_name":"${gauge}","type":"gauge","value":1,"tags":{"guild":738529527931269425}}`,
      `{"@timestamp":${T},"metric_name":"${gauge}","type":"gauge","value":2,"tags":{"guild":738529527931269426}}`,
      `{"@timestamp":${T},"metric_name":"${observation}","value":1,"tags":{"task_id":9007199254740993}}`,
    ];
    expect((await push(lines.join("\n"))).body).toEqual({ accepted: 3, rejected: 0, errors: [] });
    const table = (metric: string) => metric.replace(".", "_");
    expect(await ask(`SELECT guild, value FROM ${table(gauge)} ORDER BY value`)).toBe(
      "guild,value\n738529527931269425,1\n738529527931269426,2\n",
    );
    expect(await ask(`SELECT task_id FROM ${table(observation)}`)).toBe("task_id\n9007199254740993\n");
    const exposed = await (await gateway.fetch("/metrics")).text();
    expect(exposed.split("\n").filter((line) => line.startsWith(`${table(gauge)}{`))).toEqual([
      `${table(gauge)}{guild="738529527931269425",instance=""} 1`,
      `${table(gauge)}{guild="738529527931269426",instance=""} 2`,
    ]);
  });
});

describe("a byte that is not UTF-8 rejects only its event", () => {
  const encodings: [string, (body: Buffer) => Uint8Array<ArrayBuffer>][] = [
    ["identity", (body) => new Uint8Array(body)],
    ["gzip", (body) => new Uint8Array(zlib.gzipSync(body))],
    ["deflate", (body) => new Uint8Array(zlib.deflateSync(body))],
    ["br", (body) => new Uint8Array(zlib.brotliCompressSync(body))],
    ["zstd", (body) => new Uint8Array(zlib.zstdCompressSync(body))],
  ];
  for (const [encoding, encode] of encodings) {
    for (const form of ["lines", "an array"]) {
      test(`${form} in ${encoding}`, async () => {
        const [good, bad] = [fresh(), fresh()];
        const events = [event(good), event(bad, { tags: { k: "caf\u00e9" } }), event(good, { value: 2 })].map(
          (each) => JSON.stringify(each),
        );
        const text = form === "lines" ? events.join("\n") : `[${events.join(",")}]`;
        const body = Buffer.from(text, "latin1");
        const { status, body: answer } = await push(encode(body), "", { "content-encoding": encoding });
        expect(status).toBe(200);
        const reason = `byte ${body.indexOf(0xe9)} of the body is 0xe9, which is not valid UTF-8`;
        expect(answer).toEqual({ accepted: 2, rejected: 1, errors: [{ index: 1, reason }] });
        expect(await stored(good)).toHaveLength(2);
        expect(await stored(bad)).toHaveLength(0);
      });
    }
  }
  test("a single event is answered with 400 and the position of the byte", async () => {
    const body = Buffer.from(JSON.stringify(event(fresh(), { unit: "\u00e9" })), "latin1");
    const { status, body: answer } = await push(new Uint8Array(body));
    expect(status).toBe(400);
    expect(answer.error?.message).toBe(
      `No event could be accepted; the first: byte ${body.indexOf(0xe9)} of the body is 0xe9, which is not valid UTF-8`,
    );
  });
});

describe("rejects an unreadable body completely, with the position of the error", () => {
  const bad = (
    name: string,
    body: Bun.BodyInit,
    status: number,
    error: RegExp,
    headers: Record<string, string> = {},
  ) =>
    test(name, async () => {
      const answer = await push(body, "", headers);
      expect(answer.status).toBe(status);
      expect(answer.body.error?.message).toMatch(error);
      expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    });
  bad("an empty body", "", 400, /empty/);
  bad("a truncated array", '[{"metric_name":"cut","value":1},{"metric', 400, /byte \d+/);
  bad("a truncated event", '{"metric_name":"cut","value":1', 400, /byte \d+/);
  bad("an array with text behind it", '[{"metric_name":"cut","value":1}] x', 400, /byte 34/);
  bad("text", "hello", 400, /byte 0/);
  bad("not UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), 400, /UTF-8/);
  bad(
    "a body past bodyBytesMax",
    "x".repeat(LIMITS.bodyBytesMax + 1),
    413,
    /1048576 bytes \(setting bodyBytesMax\)/,
  );
  bad(
    "a body past inflatedBytesMax",
    zlib.gzipSync(Buffer.alloc(LIMITS.inflatedBytesMax + 1)),
    413,
    /inflatedBytesMax/,
    {
      "content-encoding": "gzip",
    },
  );
  bad("unknown encoding", "{}", 415, /"snappy" is not supported/, { "content-encoding": "snappy" });
  bad("truncated gzip", zlib.gzipSync("[]").subarray(0, 15), 400, /not complete gzip/, {
    "content-encoding": "gzip",
  });
});

describe("parameters and headers", () => {
  const bad = (path: string, field: string, message: RegExp, headers: Record<string, string> = {}) =>
    test(`${path || JSON.stringify(headers).slice(0, 60)} is rejected`, async () => {
      const metric = fresh();
      const answer = await push(JSON.stringify(event(metric)), path, headers);
      expect(answer.status).toBe(400);
      expect(answer.body.error).toEqual({
        code: "bad_input",
        field,
        message: expect.stringMatching(message),
      });
    });
  bad("?extra_label=job", "extra_label", /extra_label is "job"; expected NAME=VALUE/);
  bad("?extra_label==x", "extra_label", /extra_label is "=x"; expected NAME=VALUE/);
  bad("?extra_label=a=1&extra_label=a=2", "extra_label", /names "a" twice/);
  bad("?extra_label=job=caf%E9", "extra_label", /"job=caf\ufffd", which contains bytes that are not UTF-8/);
  bad("?extra_label=caf%E9=x", "extra_label", /which contains bytes that are not UTF-8/);
  bad("?strict=yes", "strict", /strict is "yes"; expected true or false/);
  bad("?extra_label=__name__=x", "extra_label", /reserved/);
  bad("?extra_label=le=5", "extra_label", /reserved/);
  bad(`?extra_label=${"n".repeat(256)}=5`, "extra_label", /longer than 255 bytes/);
  bad(`?extra_label=a=${"v".repeat(4097)}`, "extra_label", /4097 bytes long/);
  bad(`?${Array.from({ length: 65 }, (_, i) => `extra_label=l${i}=x`).join("&")}`, "extra_label", /65 tags/);
  bad(
    "?extra_lable=a=1",
    "extra_lable",
    /"extra_lable" is unknown; expected extra_label, historical, strict, metric, type, unit, help\.$/,
  );
  bad("?historical=maybe", "historical", /historical is "maybe"; expected true or false/);
  bad("?import_file=f&import_from=0&import_to=9", "import_line", /import_line is missing; expected a hash/);
  bad(
    "?import_file=f&import_from=0x1&import_to=9&import_line=l",
    "import_from",
    /"0x1"; expected a byte offset/,
  );
  bad("?import_file=f&import_from=9&import_to=0&import_line=l", "import_to", /is before/);
  bad("?import_file=a%20b&import_from=0&import_to=9&import_line=l", "import_file", /"a b"; expected a hash/);
  bad("", "Weir-Durability", /is "maybe"; expected committed or queued/, { "weir-durability": "maybe" });
  bad("", "Idempotency-Key", /has 256 characters/, { "idempotency-key": "k".repeat(256) });
  bad("", "Idempotency-Key", /is "clé"/, { "idempotency-key": "clé" });

  test("a queued push is answered with 202, and stored", async () => {
    const metric = fresh();
    const queued = await push(JSON.stringify(event(metric)), "", { "weir-durability": "queued" });
    expect(queued.status).toBe(202);
    expect(queued.headers.get("weir-durability")).toBe("queued");
    expect(queued.body).toEqual({ accepted: 1, rejected: 0, errors: [] });
    // Commits keep the order of the pushes.
    expect((await push(JSON.stringify(event(metric)))).headers.get("weir-durability")).toBe("committed");
    expect(await stored(metric)).toHaveLength(2);
  });

  test("a push with a known key is stored once, gets the same answer, and needs the same body and query", async () => {
    const metric = fresh();
    const key = { "idempotency-key": `key of ${metric}` };
    const body = JSON.stringify([event(metric), event(metric, { value: "no" })]);
    const first = await push(body, "", key);
    const [again, zipped] = await Promise.all([
      push(body, "", key),
      push(zlib.gzipSync(body), "", { ...key, "content-encoding": "gzip" }),
    ]);
    expect(first.headers.get("weir-duplicate")).toBeNull();
    for (const repeat of [again, zipped]) {
      expect(repeat.headers.get("weir-duplicate")).toBe("true");
      expect(repeat.body).toEqual(first.body);
      expect(repeat.status).toBe(200);
    }
    expect(await stored(metric)).toHaveLength(1);
    const otherBody = await push(JSON.stringify(event(metric)), "", key);
    expect(otherBody.status).toBe(422);
    expect(otherBody.body.error).toMatchObject({ code: "unprocessable", field: "Idempotency-Key" });
    expect((await push(body, "?extra_label=a=1", key)).status).toBe(422);
    expect(
      (await push(body, "", { "idempotency-key": `other ${key["idempotency-key"]}` })).body.accepted,
    ).toBe(1);
  });

  test("two concurrent pushes with one key are stored once", async () => {
    const metric = fresh();
    const key = { "idempotency-key": `twice ${metric}` };
    const answers = await Promise.all([1, 2, 3].map(() => push(JSON.stringify(event(metric)), "", key)));
    expect(answers.map(({ headers }) => headers.get("weir-duplicate")).sort()).toEqual([
      null,
      "true",
      "true",
    ]);
    expect(await stored(metric)).toHaveLength(1);
  });

  test("parts of a file continue where it was left", async () => {
    const metric = fresh();
    const part = (from: number, to: number) =>
      push(
        JSON.stringify(event(metric)),
        `?import_file=sha.1&import_from=${from}&import_to=${to}&import_line=l${to}`,
      );
    expect((await part(0, 100)).status).toBe(200);
    const twice = await part(0, 100);
    expect(twice.status).toBe(409);
    expect(twice.body.error).toMatchObject({ code: "conflict", field: "import_from" });
    expect((await part(100, 200)).status).toBe(200);
    expect(await gateway.query("SELECT byte_offset FROM weir.imports")).toEqual([{ byte_offset: 200 }]);
    expect(await stored(metric)).toMatchObject([{ live: false }, { live: false }]);
  });

  test("historical events are stored and do not count in totals", async () => {
    const metric = fresh();
    expect((await push(JSON.stringify(event(metric)), "?historical=true")).status).toBe(200);
    expect(await stored(metric)).toMatchObject([{ live: false }]);
  });
});

test("a full queue is 429 with Retry-After, and nothing of the push is stored", async () => {
  const small = await openTestGatewayAt(NOW_MS, "--queue-samples-max=3");
  try {
    const body = JSON.stringify([event("full"), event("full")]);
    const answers = await Promise.all([1, 2, 3].map(() => push(body, "", {}, small)));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    for (const { headers, body: answer } of refused) {
      expect(headers.get("retry-after")).toBe("1");
      expect(answer.error?.code).toBe("busy");
    }
    const accepted = answers.filter(({ status }) => status === 200).length;
    const [{ n }] = await small.query("SELECT count(*) AS n FROM weir.samples_20240101");
    expect(Number(n)).toBe(2 * accepted);
  } finally {
    await small.close();
  }
});

test("a compressed body without its Content-Encoding is rejected with the header that it needs", async () => {
  const gateway = await openTestGatewayAt(NOW_MS);
  const event = '{"metric_name":"a","value":1}';
  for (const [path, body, name] of [
    ["/api/v1/push", zlib.gzipSync(event), "gzip"],
    ["/api/v1/push", zlib.zstdCompressSync(event), "zstd"],
    ["/metrics/job/x", zlib.gzipSync("b 1\n"), "gzip"],
  ] as const) {
    const post = (headers: Record<string, string>) => gateway.fetch(path, { method: "POST", headers, body });
    const refused = await post({});
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain(
      `. The body looks compressed with ${name}: send the header "Content-Encoding: ${name}" with it.`.replaceAll(
        '"',
        path === "/api/v1/push" ? '\\"' : '"',
      ),
    );
    expect((await post({ "Content-Encoding": name })).status).toBe(200);
  }
  await gateway.close();
});

test("an error about a body in another format names the route that accepts it", async () => {
  const gateway = await openTestGatewayAt(NOW_MS);
  const message = async (method: string, path: string, body: string) => {
    const request = new Request(`http://localhost:9091${path}`, { method, body });
    const response = await gateway.app.fetch(request);
    return [response.status, await response.text()];
  };
  const [status, text] = await message("POST", "/api/v1/push", "# TYPE a counter\na_total 1\n");
  expect(status).toBe(400);
  expect(text).toContain("The body looks like Prometheus text: push it to /metrics/job/NAME.");
  expect(await message("PUT", "/metrics/job/x", '{"metric_name":"a","value":1}')).toEqual([
    400,
    "text format parsing error in line 1: invalid metric name. " +
      "The body looks like JSON events: push them to /api/v1/push.\n",
  ]);
  // A body that is nearly valid only gets its error.
  expect((await message("PUT", "/metrics/job/x", "a 1 2 3\n"))[1]).not.toContain("The body");
  await gateway.close();
});

test("a group's value that a 64-bit float does not hold is a warning, not a silent change", async () => {
  const gateway = await openTestGatewayAt(NOW_MS);
  const push = (body: string, type = "text/plain") =>
    gateway.fetch("/metrics/job/big", {
      method: "POST",
      headers: { "content-type": type },
      body,
    });
  // 2^53 + 1 is not a float; 2^53 is, and so are 2^64 and fractions, which are rounded as everywhere.
  const exact = await push("a 9007199254740992\nb 18446744073709551616\nc 0.1234567890123456789\n");
  expect([exact.status, exact.headers.get("weir-warnings")]).toEqual([200, null]);
  const before =
    (await gateway.counters.eventWarnings.get()).values.find(({ labels }) => labels.field === "value")
      ?.value ?? 0;
  const text = await push('d 9007199254740993\nd{x="1"} -738529527931269425\n');
  expect([text.status, text.headers.get("weir-warnings")]).toEqual([200, "2"]);
  const open = await push("# TYPE e gauge\ne 9007199254740993\n# EOF\n", "application/openmetrics-text");
  expect([open.status, open.headers.get("weir-warnings")]).toEqual([200, "1"]);
  const after = (await gateway.counters.eventWarnings.get()).values.find(
    ({ labels }) => labels.field === "value",
  )?.value;
  expect(after).toBe(before + 3);
  expect(gateway.takeLog().length).toBe(1);
  await gateway.close();
});

test("exemplars are stored beside samples, once, and each invalid one is reported by its line", async () => {
  const metric = fresh();
  const line = (fields: object) => JSON.stringify(event(metric, { tags: { op: "a" }, ...fields }));
  const trace = (id: string) => ({ exemplar: { trace_id: id } });
  const body = [
    line(trace("t1")),
    "",
    line({
      ...trace("t2"),
      "@timestamp": "2024-01-01T00:00:00.000001Z",
      type: "counter",
      value: "-Infinity",
    }),
    line({ exemplar: "t3" }),
    line({ ...trace("t4"), value: "high" }),
    "[1]",
    line(trace("x".repeat(121))),
    line({ ...trace("t5"), "@timestamp": 1 }),
    line({ ...trace("t6"), "@timestamp": undefined }),
  ].join("\n");
  const headers = { "content-type": "application/vnd.weir.exemplars+x-ndjson" };
  const answer = await push(body, "", headers);
  expect(answer.status).toBe(200);
  // The counter has the name of the observation: its series is rejected, as its events would be.
  expect(answer.body).toMatchObject({ accepted: 1, rejected: 7 });
  expect(
    (answer.body.errors as { index: number; reason: string }[]).map(({ index, reason }) => [index, reason]),
  ).toEqual([
    [2, 'exemplar is "t3", expected an object of labels with texts'],
    [3, 'value is "high", expected a number'],
    [4, 'expected an exemplar as a JSON object, got "[1]"'],
    [5, "the labels of the exemplar have 129 characters, at most 128 are accepted"],
    [7, "@timestamp is missing, expected the time of the exemplar"],
  ]);
  expect(answer.body.causes).toEqual({
    value: 1,
    labels: 2,
    syntax: 1,
    timestamp: 1,
    "series or timestamp": 2,
  });
  expect(await push(line({ ...trace("other"), value: 2 }), "", headers)).toMatchObject({
    body: { accepted: 1 },
  });
  expect(
    await ask(
      `SELECT epoch_us(ts) AS us, value, CAST(exemplar AS VARCHAR) FROM exemplars WHERE metric = '${metric}'`,
    ),
  ).toContain(`${T}000,1,{trace_id=t1}`);
  expect(await ask(`SELECT count(*) FROM exemplars WHERE metric = '${metric}'`)).toContain("\n1\n");
  expect(await ask(`SELECT count(*) FROM samples WHERE metric = '${metric}'`)).toContain("\n0\n");
});
