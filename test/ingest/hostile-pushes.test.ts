/** Hostile input: whatever a client can enlarge is bounded, odd spellings do no harm, and both are reported. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Imports } from "../../src/ingest/imports.ts";
import { DAY_MS, NOON_MS, openTestGateway, type Sample, type TestGateway } from "../gateway.ts";

let subject: TestGateway;
beforeEach(async () => {
  subject = await openTestGateway();
});
afterEach(() => subject.close());

const reasons = async (samples: readonly Sample[]) =>
  (await subject.push(samples)).rejected.map(({ reason }) => reason);
const each = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n));

describe("names", () => {
  test("accepts attributes with names that the engine uses itself", async () => {
    await subject.reopen("--label-values-max=1");
    const tag = (name: string, value: string): Sample => ({
      metric: "d",
      kind: "delta",
      labels: { [name]: value },
    });
    for (const name of ["rowid", "RowID", "more_attributes", "ts", "series_id"]) {
      await subject.push([tag(name, "a"), tag(name, "b"), tag(name, "c")]);
    }
    await subject.reopen();
    await subject.push([tag("rowid", "d")]);
    const [row] = await subject.query("SELECT count(*) AS n, max(rowid) AS last FROM weir.samples_20241004");
    expect(row).toEqual({ n: 16, last: 15 });
  });

  test("keeps attributes past the number of columns apart from a tag named more_attributes", async () => {
    await subject.reopen(`--attributes=more_attributes,${each(70, (n) => `a${n}`).join(",")}`);
    const labels = Object.fromEntries(each(60, (n) => [`a${n}`, `${n}`]));
    const rest = Object.fromEntries(each(10, (n) => [`a${n + 60}`, `${n}`]));
    await subject.push([{ metric: "d", kind: "delta", labels: { ...labels, more_attributes: "own" } }]);
    await subject.push([{ metric: "d", kind: "delta", labels: { ...rest, more_attributes: "too" } }]);
    const rows =
      "SELECT more_attributes_2 AS own, more_attributes AS rest FROM weir.samples_20241004 ORDER BY rowid";
    expect(await subject.query(rows)).toEqual([
      { own: "own", rest: null },
      { own: "too", rest: JSON.stringify(Object.fromEntries(each(7, (n) => [`a${n + 63}`, `${n + 3}`]))) },
    ]);
  });

  test("rejects half of a surrogate pair, which would equal any other half once stored", async () => {
    expect(await reasons([{ metric: "m\ud800" }, { metric: "m", labels: { a: "\ud800" } }])).toEqual([
      'metric_name "m\\ud800" contains half of a surrogate pair, which is not a character',
      'the value of tag "a" contains half of a surrogate pair, which is not a character',
    ]);
    expect(await reasons([{ metric: "m", labels: { "\udc00": "x" } }])).toEqual([
      'tag "\\udc00" contains half of a surrogate pair, which is not a character',
    ]);
  });

  test("a metric that returns as another kind is not split by earlier demotions", async () => {
    await subject.reopen("--label-values-max=1");
    const at = (kind: "delta" | "gauge", url: string): Sample => ({ metric: "m", kind, labels: { url } });
    await subject.push([at("delta", "a"), at("delta", "b")]);
    subject.nowMs += 3 * DAY_MS;
    await subject.gateway.ingest.prune();
    for (const url of ["a", "a", "b"]) {
      subject.nowMs += 1_000;
      await subject.push([at("gauge", url)]);
    }
    expect(await subject.query("SELECT labels FROM weir.series ORDER BY series_id")).toEqual([
      { labels: { url: "a" } },
      { labels: { url: "b" } },
    ]);
  });
});

describe("bounds", () => {
  test("metrics past metricsMax are rejected until old ones are dropped", async () => {
    await subject.reopen("--metrics-max=2");
    expect(await reasons([{ metric: "a" }, { metric: "b" }, { metric: "c" }, { metric: "a" }])).toEqual([
      'metric "c" would exceed the limit of 2 stored metrics (metricsMax)',
    ]);
    subject.nowMs += 3 * DAY_MS;
    await subject.gateway.ingest.prune();
    expect(await reasons([{ metric: "c" }])).toEqual([]);
  });

  test("tag names past tagNamesMax are rejected, demoted ones included", async () => {
    await subject.reopen("--tag-names-max=2", "--label-values-max=1");
    const refused = 'tag "c" of metric "g" would exceed the limit of 2 tag names per metric (tagNamesMax)';
    const tag = (name: string, value: string, metric = "g", kind: Sample["kind"] = "gauge"): Sample => ({
      metric,
      kind,
      labels: { [name]: value },
    });
    expect(await reasons([tag("a", "1"), tag("b", "1"), tag("c", "1"), tag("a", "2")])).toEqual([refused]);
    const kind = "delta";
    const demoted = [tag("a", "1", "d", kind), tag("a", "2", "d", kind), tag("b", "1", "d", kind)];
    expect(await reasons(demoted)).toEqual([]);
    expect(await reasons([tag("c", "1", "d", kind), tag("a", "3", "d", kind)])).toEqual([
      refused.replace('"g"', '"d"'),
    ]);
  });

  test("new series past seriesStoredMax are rejected, and known series still accept samples", async () => {
    await subject.reopen("--series-stored-max=2");
    const of = (...names: string[]) => names.map((name): Sample => ({ metric: "g", labels: { name } }));
    expect(await reasons(of("a", "b", "c"))).toEqual([
      'a new series of metric "g" would exceed the limit of 2 stored series (seriesStoredMax)',
    ]);
    // A rejected sample claims no name.
    await subject.push([{ metric: "h" }]);
    expect([...subject.gateway.registry.metrics()].map(({ name }) => name)).toEqual(["g"]);
    subject.nowMs += 1_000;
    expect(await subject.push(of("a", "b"))).toMatchObject({ accepted: 2 });
  });

  test("rejects a push with too many different attributes over many events", async () => {
    const names = each(1_000, (n) => `a${n}`);
    await subject.reopen(`--attributes=${names.join(",")}`);
    const events = each(20_000, (n) => `{"metric_name":"m","value":1,"tags":{"a${n % 1_000}":"x"}}`);
    expect(await subject.post(`[${events.join(",")}]`)).toMatchObject({
      status: 413,
      json: { error: { message: expect.stringContaining("different attributes over") } },
    });
    expect(await subject.post(`[${events.slice(0, 2_000).join(",")}]`)).toMatchObject({ status: 200 });
    const samples = each(
      20_000,
      (n): Sample => ({ metric: "d", kind: "delta", labels: { [`a${n % 1_000}`]: "x" } }),
    );
    await expect(subject.push(samples)).rejects.toThrow("different attributes over");
  });

  test("the same series past seriesMax are not exposed, before and after a restart", async () => {
    await subject.reopen("--series-max=2");
    const of = (...names: string[]) => names.map((name): Sample => ({ metric: "g", labels: { name } }));
    const shown = ['g{instance="",name="a"} 1', 'g{instance="",name="b"} 1'];
    await subject.push(of("a", "b", "c"));
    expect(await subject.exposed()).toEqual(shown);
    await subject.reopen("--series-max=2");
    expect(await subject.exposed()).toEqual(shown);
    expect(await subject.query("SELECT count(*) AS n FROM weir.samples_20241004")).toEqual([{ n: 3 }]);
  });

  test("dead letters are trimmed as they arrive, not once an hour", async () => {
    await subject.reopen("--rejected-max=10");
    for (let n = 0; n < 40; n++) await subject.push([{ metric: "" }]);
    await subject.gateway.ingest.probe();
    const [{ n }] = (await subject.query("SELECT count(*) AS n FROM rejected")) as [{ n: number }];
    expect(n).toBeLessThanOrEqual(20);
  });

  test("idempotency keys are bounded in bytes, and the oldest are forgotten first", async () => {
    await subject.reopen("--idempotency-bytes-max=1KiB");
    const push = (key: string) =>
      subject.push([{ metric: "d", kind: "delta" }], { idempotency: { scope: "s", key, bodyHash: "h" } });
    for (const key of each(20, (n) => `key ${n}`)) await push(key);
    expect((await push("key 19")).repeated).toBe(true);
    expect((await push("key 0")).repeated).toBeUndefined();
    await subject.reopen("--idempotency-bytes-max=1KiB");
    expect((await push("key 19")).repeated).toBe(true);
    expect((await push("key 1")).repeated).toBeUndefined();
  });

  test("imports of more than 100,000 files are rejected", async () => {
    const record = (n: number) => ({
      file: `${n}`,
      firstLineHash: `${n}`,
      identity: "",
      byteOffset: 1,
      lastLineHash: "h",
      updatedAtMs: NOON_MS,
    });
    const imports = new Imports(each(100_000, record));
    const chunk = { fromOffset: 1, toOffset: 2, lastLineHash: "h" };
    imports.check({ ...chunk, file: "0" });
    expect(() => imports.check({ ...chunk, file: "new", fromOffset: 0 })).toThrow(
      "this file would exceed the limit of 100000 remembered imports",
    );
  });

  test("pushes of rejected samples alone count against the queue", async () => {
    await subject.reopen("--queue-bytes-max=4KiB");
    // Each takes 544 bytes.
    const first = each(8, () => subject.push([{ metric: "" }]));
    await expect(subject.push([{ metric: "" }])).rejects.toThrow("the queue is full");
    await Promise.all(first);
  });

  test("a large push does not take the room of small ones, and a second large one waits for it", async () => {
    await subject.reopen("--queue-bytes-max=4KiB");
    const large = each(100, (n) => ({ metric: "d", kind: "delta" as const, labels: { n: String(n) } }));
    const first = subject.push(large);
    await expect(subject.push(large)).rejects.toThrow("the queue is full");
    expect((await subject.push([{ metric: "small" }])).accepted).toBe(1);
    expect((await first).accepted).toBe(100);
    expect((await subject.push(large)).accepted).toBe(100);
  });
});

describe("retention", () => {
  test("runs between commits while many pushes arrive", async () => {
    let pushes = 0;
    let over = false;
    const sender = async () => {
      while (!over && pushes < 500) {
        pushes++;
        await subject.push([{ metric: "d", kind: "delta" }]);
      }
    };
    const senders = each(3, sender);
    await subject.gateway.ingest.prune();
    over = true;
    await Promise.all(senders);
    expect(pushes).toBeLessThan(100);
  });

  test("by size stops if a reader keeps the space of dropped days in use", async () => {
    await subject.reopen("--retention-bytes=1");
    await subject.push(each(3, (n) => ({ metric: "g", atMs: NOON_MS - n * DAY_MS })));
    const reader = await subject.gateway.store.reader();
    await reader.run("BEGIN TRANSACTION READ ONLY");
    await reader.all("SELECT count(*) FROM weir.samples_20241004");
    const { days } = await subject.gateway.ingest.prune();
    await reader.run("ROLLBACK");
    reader.close();
    expect(days).toEqual([NOON_MS / DAY_MS - 2.5]);
  });
});

describe("bodies", () => {
  test("rejects events that do not begin with a brace", async () => {
    const event = '"metric_name":"m","value":1}';
    for (let n = 0; n < 3; n++) {
      expect((await subject.post(`{${event}`)).json).toMatchObject({ accepted: 1 });
    }
    for (const body of [`[x${event}]`, `[[${event}]`, `x${event}`]) {
      expect((await subject.post(body)).status).toBe(400);
    }
  });

  test("reads lines with unterminated strings in one pass", async () => {
    // Each of these lines seems to continue to the end of the body.
    const body = `{"metric_name":"m","value":1}\n${'{\\"\n'.repeat(9_000)}${" ".repeat(20_000_000)}`;
    const { json } = await subject.post(body);
    expect(json).toMatchObject({ accepted: 1, rejected: 9_000 });
  });
});
