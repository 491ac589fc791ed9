/** What a group keeps in memory, counted in objects. */
import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { openGroupsGateway } from "../groups-gateway.ts";

/** The live objects of the types that take memory. */
function liveObjects() {
  Bun.gc(true);
  const {
    Map: maps = 0,
    Object: objects = 0,
    Array: arrays = 0,
    string: strings = 0,
  } = heapStats().objectTypeCounts;
  return { maps, objects, arrays, strings };
}

const GROUPS = 250;

test("a group of 8 series keeps no Map, and at most 18 objects, 7 arrays and 8 texts", async () => {
  const gateway = await openGroupsGateway();
  const push = async (group: number) => {
    const body =
      "# TYPE seconds gauge\nseconds 1\n# TYPE at gauge\nat 2\n" +
      '# TYPE rows_total counter\nrows_total{stage="read"} 3\nrows_total{stage="written"} 4\n' +
      '# TYPE bytes_total counter\nbytes_total{direction="in"} 5\nbytes_total{direction="out"} 6\n';
    expect(await gateway.send(`PUT /metrics/job/nightly/instance/worker-${group}`, body)).toEqual([200, ""]);
  };
  for (let group = 0; group < 50; group++) await push(group);
  // Moves the journal, so that its entries are not counted.
  await gateway.send("GET /api/v1/sql?q=SELECT%201");
  const before = liveObjects();
  for (let group = 50; group < 50 + GROUPS; group++) await push(group);
  await gateway.send("GET /api/v1/sql?q=SELECT%201");
  const after = liveObjects();
  const perGroup = (what: keyof typeof before) => (after[what] - before[what]) / GROUPS;
  expect(perGroup("maps")).toBeLessThan(0.5);
  expect(perGroup("objects")).toBeLessThan(18);
  expect(perGroup("arrays")).toBeLessThan(7);
  expect(perGroup("strings")).toBeLessThan(8);
  await gateway.close();
});
