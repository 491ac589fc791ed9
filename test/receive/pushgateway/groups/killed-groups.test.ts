/**
 * The gateway is killed repeatedly in the middle of changes to groups. After each start every group is whole,
 * in its state before or after a change, and never older than the acknowledged state.
 */
import { expect, test } from "bun:test";
import { GatewayProcess } from "../../../gateway-process.ts";
import { runs } from "../../../runs.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { Subject } from "../subject.ts";

const ROUNDS = 5;
const GROUPS = 4;
/** Snapshots of the totals and checkpoints are so frequent that kills interrupt them too. */
const ARGS = ["--no-sampler", "--snapshot-rows=1000", "--checkpoint-log-bytes=1MiB"];

const folder = temporaryFolder();

/** A small generator, so that a seed reproduces a failure. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** What a group has at a version. The version decides its series, and is the value of all. 0 is no group. */
function exposedAt(group: number, version: number): string[] {
  if (version === 0 || version % 7 === 0) return [];
  const labels = `job="g${group}"`;
  const lines = [`always{${labels}} ${version}`];
  for (let at = 0; at <= version % 3; at++) lines.push(`some{${labels},x="${at}"} ${version}`);
  if (version % 2 === 0) {
    lines.push(`h_bucket{${labels},le="1"} ${version}`, `h_bucket{${labels},le="+Inf"} ${version}`);
    lines.push(`h_sum{${labels}} ${version}`, `h_count{${labels}} ${version}`);
  }
  return lines.sort();
}

/** The change that brings a group to a version. */
async function change(url: string, group: number, version: number): Promise<void> {
  const path = `${url}/metrics/job/g${group}`;
  if (version % 7 === 0) {
    const answer = await fetch(path, { method: "DELETE" });
    expect(answer.status).toBe(202);
    return;
  }
  const lines = exposedAt(group, version).map((line) => line.replace(/job="g\d+",?/, ""));
  const type = version % 2 === 0 ? "# TYPE h histogram\n" : "";
  const answer = await fetch(path, { method: "PUT", body: `${type}${lines.join("\n")}\n` });
  expect([answer.status, await answer.text()]).toEqual([200, ""]);
}

test("leaves each group whole, in its old or new state", async () => {
  const { seed } = runs();
  const next = random(seed);
  /** By group: the last acknowledged version, and the last version that was sent. */
  const acknowledged = new Array<number>(GROUPS).fill(0);
  const sent = new Array<number>(GROUPS).fill(0);
  let killed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const gateway = await GatewayProcess.start({ data: folder, args: ARGS });
    const subject = new Subject(gateway.url);
    const exposed = (await subject.exposed()).exposed;
    const groups = await subject.groups();
    for (let group = 0; group < GROUPS; group++) {
      const is = exposed.filter((line) => line.includes(`job="g${group}"`));
      const versions = [acknowledged[group]!, sent[group]!];
      const version = versions.find((each) => Bun.deepEquals(is, exposedAt(group, each)));
      expect({ seed, round, group, versions, is, version }).toEqual(
        expect.objectContaining({ version: expect.any(Number) }),
      );
      expect(Object.hasOwn(groups, `{"job":"g${group}"}`)).toBe(is.length > 0);
      acknowledged[group] = version!;
      sent[group] = version!;
    }
    if (round === ROUNDS - 1) {
      expect(await gateway.stop("SIGTERM")).toBe(0);
      break;
    }
    let alive = true;
    const changes = Array.from({ length: GROUPS }, async (_, group) => {
      while (alive) {
        sent[group] = sent[group]! + 1;
        try {
          await change(gateway.url, group, sent[group]!);
        } catch (error) {
          // The connection broke. The change may be stored or not.
          if (alive && !/connect|socket|closed/i.test(String(error))) throw error;
          return;
        }
        acknowledged[group] = sent[group]!;
      }
    });
    // The kill follows a drawn number of changes to each group and a drawn fraction of a millisecond.
    const enough = Math.min(...acknowledged) + 3 + 12 * next();
    while (Math.min(...acknowledged) < enough) await Bun.sleep(1);
    await Bun.sleep(5 * next());
    alive = false;
    await gateway.stop("SIGKILL");
    await Promise.all(changes);
    killed++;
  }
  expect(killed).toBe(ROUNDS - 1);
  expect(Math.min(...acknowledged)).toBeGreaterThan(10);
});

test("ends removed series of a group with a stale marker, and others with their value", async () => {
  const gateway = await GatewayProcess.start({ data: folder, args: ARGS });
  const { exposed } = await new Subject(gateway.url).exposed();
  const sql = `SELECT metric, labels, arg_max(value IS NULL, ts) AS is_over, arg_max(coalesce(value, -1), ts) AS value
    FROM samples WHERE metric NOT LIKE 'push\\_%' ESCAPE '\\' GROUP BY ALL`;
  const answer = await fetch(`${gateway.url}/api/v1/sql?q=${encodeURIComponent(sql)}`);
  const { rows } = (await answer.json()) as {
    rows: { metric: string; labels: Record<string, string>; is_over: boolean; value: number }[];
  };
  const alive = rows
    .filter(({ is_over }) => !is_over)
    .map(({ metric, labels, value }) => {
      const pairs = Object.entries(labels).map(([name, text]) => `${name}="${text === "1.0" ? "1" : text}"`);
      return `${metric}{${pairs.sort().join(",")}} ${value}`;
    });
  expect(alive.sort()).toEqual([...exposed]);
  expect(rows.length).toBeGreaterThan(alive.length);
  expect(await gateway.stop("SIGTERM")).toBe(0);
});
