/** PromQL here beside a real Prometheus, over many expressions made at random; see HELP. */
import { parseArgs } from "node:util";
import { compareEngines, type Difference, type Layout } from "../../test/query/promql/compare/compare.ts";
import { canRun } from "../../test/real-servers.ts";

const HELP = `Usage: scripts/promql-compare [options]

Evaluates random expressions on this gateway and on the prometheus on PATH, over the same series. Shows each expression
with different answers, and the share of equal answers. Exits with 1 if that share is less than 99.9 %.

  --count N          expressions (default 50000)
  --seed N           the seed of the first thousand expressions; each thousand has its own (default 1)
  --packed           half of the samples are in blocks, and the others are rows: by turns those of the first half of the time,
                     and every other one. Nothing is kept in memory, so each answer is read from blocks and rows
  --help             shows this help
`;
const PORTION = 1_000;
const SHARE_MIN = 0.999;

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "50000" },
    seed: { type: "string", default: "1" },
    packed: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const count = Number(values.count);
const seed = Number(values.seed);

if (!canRun("prometheus")) {
  console.error("prometheus is not on PATH (Debian's package `prometheus`)");
  process.exit(2);
}
let asked = 0;
let changed = 0;
let refused = 0;
let empty = 0;
const differences: Difference[] = [];
let readBlocks = 0;
const shares: number[] = [];
while (asked < count) {
  const layout: Layout = !values.packed ? "rows" : shares.length % 2 === 0 ? "halves" : "alternating";
  const report = await compareEngines(Math.min(PORTION, count - asked), seed + asked / PORTION, layout);
  asked += report.asked;
  changed += report.changed;
  refused += report.refused;
  empty += report.empty;
  readBlocks += report.readBlocks;
  shares.push(report.blockShare);
  for (const difference of report.differences) {
    const { path, parameters } = difference.query;
    console.log(`${path}?${new URLSearchParams(parameters)}\n  ${difference.what.slice(0, 500)}`);
  }
  differences.push(...report.differences);
  console.error(`${asked} asked, ${differences.length} differ; ${readBlocks} read blocks`);
}
const share = 1 - differences.length / asked;
console.log(`seeds ${seed} to ${seed + shares.length - 1}; ${blockText()}`);
console.log(
  `${asked} expressions: ${(share * 100).toFixed(3)} % agreed (${refused} refused and ${empty} empty on both sides); ` +
    `${differences.length} differ, of which ${ties()} are ties of topk and bottomk; ${changed} more where Prometheus 3 means to differ from 2.42`,
);
process.exit(share >= SHARE_MIN ? 0 : 1);

function blockText(): string {
  const mean = shares.reduce((sum, each) => sum + each, 0) / shares.length;
  return `${(mean * 100).toFixed(1)} % of the samples in blocks, which ${readBlocks} expressions read`;
}

function ties(): number {
  return differences.filter(({ isTie }) => isTie).length;
}
