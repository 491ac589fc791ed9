/**
 * Hostile readers and bodies of every kind, beside a pusher of 20 events per second. None of them delays a push, takes
 * more memory than is stated, or ends the process; and each acknowledged event is stored.
 *
 * Delays are measured in work of the gateway's main thread, which hardly depends on the machine and on what else it does:
 * the longest work without a turn of the event loop, and the work between a push and its answer. The unit is a fixed
 * piece of work, which the same thread does meanwhile (hostile/slice-probe.ts).
 */
import { appendFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { BesideAPusher, type Hostile, SLICE_MAX, WAIT_MAX } from "./hostile/beside-a-pusher.ts";
import { HOSTILE_BODIES } from "./hostile/hostile-bodies.ts";
import { HOSTILE_READERS } from "./hostile/hostile-readers.ts";

/**
 * The sum of what is stated, in MiB: 400 for the process, 400 for the 300,000 series that these requests make, 256 for
 * bodies in progress, 512 for SQL (sqlMemoryGrowthBytesMax), and 256 for each of four PromQL queries.
 */
const RESIDENT_BYTES_MAX = (400 + 400 + 256 + 512 + 4 * 256) * 2 ** 20;
/** As many at once as a page of a dashboard asks. */
const AT_ONCE = 3;

let subject: BesideAPusher;
beforeAll(async () => {
  subject = await BesideAPusher.start(temporaryFolder(), ["--no-sampler", "--enable-admin-api"]);
});
afterAll(() => subject.close());

/** Sends the requests, some at once, and returns those that fail or cost too much. */
async function tooCostly(requests: readonly Hostile[], sliceMax = SLICE_MAX): Promise<string[]> {
  const found: string[] = [];
  for (let at = 0; at < requests.length; at += AT_ONCE) {
    const some = requests.slice(at, at + AT_ONCE);
    const { slice, wait, pieceMs, statuses } = await subject.cost(some);
    const names = some.map(({ name }) => name).join(" | ");
    const cost = `${names}: slice ${slice.toFixed(0)}, wait ${wait.toFixed(0)} pieces of ${pieceMs.toFixed(2)} ms, ${[...new Set(statuses)]}, at most ${Math.round(subject.residentBytesMax / 2 ** 20)} MiB`;
    if (process.env.WEIR_HOSTILE_REPORT !== undefined)
      appendFileSync(process.env.WEIR_HOSTILE_REPORT, `${cost}\n`);
    const isFault = statuses.some((status) => status === 500);
    if (slice > sliceMax || wait > WAIT_MAX || isFault) found.push(cost);
  }
  return found;
}

describe("are answered, and delay no push:", () => {
  for (const bodies of HOSTILE_BODIES) {
    const [first] = bodies;
    test(`bodies such as ${first!.name}`, async () => expect(await tooCostly(bodies)).toEqual([]));
  }
  const { statements, looks, scrapes, exports } = HOSTILE_READERS;
  test("SQL", async () => expect(await tooCostly(statements)).toEqual([]));
  test("look-ups", async () => expect(await tooCostly(looks)).toEqual([]));
  // Their slices are not bounded here: each leaves much garbage, and the collector stops the thread for 0.1 to 0.3 s
  // after all that was sent before.
  test("scrapes", async () => expect(await tooCostly(scrapes, Number.POSITIVE_INFINITY)).toEqual([]));
  test("exports", async () => expect(await tooCostly(exports)).toEqual([]));
  test("PromQL", async () => expect(await tooCostly(HOSTILE_READERS.promql)).toEqual([]));
});

test("there are at least 150 hostile requests", () => {
  const all = [...HOSTILE_BODIES.flat(), ...Object.values(HOSTILE_READERS).flat()];
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  expect(all.length).toBeGreaterThanOrEqual(150);
});

test("the process is alive, and has used no more memory than is stated", async () => {
  // After all these requests a scrape can take too long at first, on a busy machine.
  await until("readiness", async () => (await subject.fetch("/-/ready")).status === 200);
  expect(subject.residentBytesMax).toBeLessThan(RESIDENT_BYTES_MAX);
});

test("each push was acknowledged, and each acknowledged event is stored", async () => {
  await subject.stopPushing();
  expect(subject.refused).toEqual([]);
  const q = "SELECT value::INTEGER AS value FROM acknowledged ORDER BY 1";
  const response = await subject.fetch(`/api/v1/sql?${new URLSearchParams({ q, limit: "1000000" })}`);
  const { rows } = (await response.json()) as { rows: { value: number }[] };
  expect(rows.map(({ value }) => value)).toEqual(subject.acknowledged.toSorted((a, b) => a - b));
  expect(rows.length).toBeGreaterThan(0);
});
