/** The statements of the README over the archives of a fleet, as an analyst runs them with an engine of their own. */
import { expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { NOON_MS } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { ArchivingGateway, duckdb } from "./archiving-gateway.ts";

const README = join(import.meta.dir, "..", "..", "src", "archive", "README.md");

test("one statement reads the archives of all gateways, with the columns of each", async () => {
  const fleet = temporaryFolder();
  for (const [name, values] of [
    ["berlin", [10, 20]],
    ["oslo", [100]],
  ] as const) {
    const gateway = await ArchivingGateway.openWith(join(fleet, `gateway=${name}`));
    await gateway.store(
      values.map((value, at) => ({
        "@timestamp": NOON_MS + at,
        metric_name: "http.request.duration_ms",
        value,
        tags: { operation: "get", task_id: `${name}${at}`, ...(name === "oslo" ? { zone: "n" } : {}) },
      })),
    );
    await gateway.archiveAll();
    // The folder stays, unlike that of other tests.
    await gateway.closeKeeping();
  }
  const [statement = ""] =
    /(?<=```sql\n)SELECT gateway[\s\S]*?(?=```)/.exec(readFileSync(README, "utf8")) ?? [];
  const rows = await duckdb(
    statement.replace("/srv/fleet", fleet).replace("2026-11-25", "2024-10-04").replace(/;\s*$/, ""),
  );
  expect(rows).toEqual([
    { gateway: "berlin", operation: "get", events: 2, mean_ms: 15, slowest: "berlin1" },
    { gateway: "oslo", operation: "get", events: 1, mean_ms: 100, slowest: "oslo0" },
  ]);
  rmSync(fleet, { recursive: true });
});
