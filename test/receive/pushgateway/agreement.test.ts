/** Random sequences of pushes and deletions have the same result in Weir and in Debian's Pushgateway. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GatewayProcess } from "../../gateway-process.ts";
import { runs } from "../../runs.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import type { Step } from "./behaviour.ts";
import { Subject, startDebians } from "./subject.ts";

const folder = temporaryFolder();
const debians = await startDebians();
let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: folder, args: ["--enable-admin-api", "--no-sampler"] });
});
afterAll(async () => {
  await debians?.stop();
  await gateway.stop("SIGTERM");
});

const path = fc.constantFrom("a", "a/instance/i", "b", "b/x/1", "c/y/1");
const labels = fc.constantFrom(
  "",
  "",
  '{x="1"}',
  '{x="2"}',
  '{instance="i"}',
  '{job="z"}',
  '{x="1",instance="i"}',
);
const value = fc.constantFrom("1", "2.5", "-1", "NaN", "1e6");
const name = fc.constantFrom(
  ...["m", "m", "n", "m_count", "m_sum", "m_bucket", "m_total", "m_created"],
  "push_time_seconds",
);

/**
 * The lines of a family: a type or none, and a few samples, which may conflict. But no bucket appears twice in a
 * histogram, because Weir rejects that and Pushgateway exposes it twice.
 */
const family = fc
  .record({
    name,
    type: fc.constantFrom(undefined, undefined, "gauge", "counter", "histogram", "summary"),
    samples: fc.array(fc.tuple(labels, value), { minLength: 1, maxLength: 3 }),
    help: fc.boolean(),
  })
  .map(({ name, type, samples, help }) => {
    const head =
      (help ? `# HELP ${name} About ${name}.\n` : "") +
      (type === undefined ? "" : `# TYPE ${name} ${type}\n`);
    const withEdge = (block: string, edge: string) =>
      block === "" ? `{${edge}}` : block.replace("}", `,${edge}}`);
    const once = [...new Map(samples)];
    const isDistribution = type === "histogram" || type === "summary";
    return (isDistribution ? once : samples).reduce((lines, [block, number]) => {
      if (type === "histogram")
        return `${lines}${name}_bucket${withEdge(block, 'le="1"')} 1\n${name}_count${block} 3\n${name}_sum${block} ${number}\n`;
      if (type === "summary")
        return `${lines}${name}${withEdge(block, 'quantile="0.5"')} ${number}\n${name}_count${block} 2\n`;
      // Samples that may belong to a count have integers.
      return `${lines}${name}${block} ${/_(count|bucket)$/.test(name) ? 4 : number}\n`;
    }, head);
  });

const body = fc.oneof(
  {
    weight: 9,
    arbitrary: fc
      .uniqueArray(family, { maxLength: 3, selector: (text) => /(\S+)(?: \S+)?\n/.exec(text)?.[1] })
      .map((families) => families.join("")),
  },
  { weight: 1, arbitrary: fc.constantFrom("m 1 1704067200000\n", "m", "1m 1\n", "m{} 1\n\n# comment\n") },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ send: path.map((to) => `PUT /metrics/job/${to}`), body, status: fc.constant(0) }),
  fc.record({ send: path.map((to) => `POST /metrics/job/${to}`), body, status: fc.constant(0) }),
  fc.record({ send: path.map((to) => `DELETE /metrics/job/${to}`), status: fc.constant(0) }),
);

describe.skipIf(debians === undefined)("Weir and Debian's Pushgateway", () => {
  test("give the same answers, and expose the same in the end", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const each = { name: "drawn", steps };
        const [theirs, ours] = [await debians!.subject.run(each), await new Subject(gateway.url).run(each)];
        const resultOf = (outcome: typeof ours) =>
          steps.map(({ send, body }, at) => ({ send, body, status: outcome.answers[at]!.status }));
        expect(resultOf(ours)).toEqual(resultOf(theirs));
        expect(ours.exposed).toEqual(theirs.exposed);
        expect(ours.groups).toEqual(theirs.groups);
      }),
      { ...runs(60), endOnFailure: false },
    );
  });
});
