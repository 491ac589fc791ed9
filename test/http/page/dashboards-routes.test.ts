/** The routes of dashboards: what `curl` gets of the files of `--dashboards` and of those that come with Weir. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openTestGateway, type TestGateway } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const folder = temporaryFolder();
const ORDERS = '{ "title": "Orders",\n  "panels": [] }\n';
let gateway: TestGateway;
beforeAll(async () => {
  writeFileSync(join(folder, "orders.json"), ORDERS);
  writeFileSync(join(folder, "broken.json"), "[");
  gateway = await openTestGateway(`--dashboards=${folder}`);
});
afterAll(() => gateway.close());

const get = (path: string) => gateway.app.fetch(new Request(`http://localhost:9091${path}`));

test("the list has the dashboards of the folder and those that come with Weir, and the errors of files", async () => {
  const answer = await get("/api/v1/dashboards");
  const { dashboards, errors } = (await answer.json()) as {
    dashboards: { name: string; shipped: boolean }[];
    errors: { file: string; line: number; message: string }[];
  };
  expect(dashboards.map(({ name, shipped }) => [name, shipped])).toEqual([
    ["orders", false],
    ["gateway", true],
    ["gpu-workers", true],
    ["host", true],
    ["services", true],
    ["workers", true],
  ]);
  expect(errors).toMatchObject([{ file: join(folder, "broken.json"), line: 1 }]);
});

test("a dashboard is returned as its file has it", async () => {
  const answer = await get("/api/v1/dashboards/orders");
  expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
  expect(await answer.text()).toBe(ORDERS);
  expect(await (await get("/api/v1/dashboards/weir-host")).json()).toMatchObject({ uid: "weir-host" });
});

test("an unknown name is 404, and a file with an error is 422 with its line", async () => {
  const [none, broken] = await Promise.all(
    ["none", "broken"].map((name) => get(`/api/v1/dashboards/${name}`)),
  );
  expect([none!.status, await none!.json()]).toEqual([
    404,
    {
      error: {
        code: "not_found",
        message: 'There is no dashboard "none"; /api/v1/dashboards lists them.',
        field: "name",
      },
    },
  ]);
  expect(broken!.status).toBe(422);
  expect(await broken!.text()).toContain("broken.json:1:2: the file is not JSON");
  // Once, although three requests found it.
  expect(
    gateway
      .takeLog()
      .join("")
      .match(/dashboards_invalid/g),
  ).toHaveLength(1);
});
