/** A new destination gets the samples that are stored after the gateway opened with it, and none that were stored before. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { destinationTable } from "./forwarding-gateway.ts";

let gateway: TestGateway;
/** The file of the destination. */
let path: string;
/** The flag with settings that have the destination. */
let destination: string;

beforeEach(async () => {
  const folder = temporaryFolder();
  path = join(folder, "lines.ndjson");
  writeFileSync(join(folder, "weir.toml"), destinationTable({ name: "lines", type: "ndjson", path }));
  destination = `--config=${join(folder, "weir.toml")}`;
  gateway = await openTestGateway();
  await push(1);
  await gateway.reopen(destination);
});
afterEach(() => gateway.close());

const push = (value: number) => gateway.push([{ metric: "level", value, atMs: NOON_MS + value }]);

/** The values that the destination has, once `newest` is one of them. */
async function valuesWith(newest: number): Promise<number[]> {
  const values = () =>
    existsSync(path)
      ? Array.from(readFileSync(path, "utf8").matchAll(/"value":(\d+)/g), ([, value]) => Number(value))
      : [];
  await until(`the destination to have ${newest}`, () => values().includes(newest));
  return values();
}

test("also those that are stored before forwarding has started", async () => {
  await push(2);
  await gateway.startServices();
  await push(3);
  expect(await valuesWith(3)).toEqual([2, 3]);
});

test("also those of a run that ended before forwarding started", async () => {
  await push(2);
  await gateway.reopen(destination);
  await push(3);
  await gateway.startServices();
  expect(await valuesWith(3)).toEqual([2, 3]);
});
