/** Summaries over archived days, and what says so where something reads none. */
import { afterEach, expect, test } from "bun:test";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addToken } from "../access/token-texts.ts";
import { DAY_MS, NOON_MS } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { ArchivingGateway } from "./archiving-gateway.ts";

let gateway: ArchivingGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

/** Two days with three requests each, 4 and 7 October. Only the archive has the first. */
async function opened(...settings: string[]): Promise<ArchivingGateway> {
  const opened = await ArchivingGateway.openWith(undefined, "--archive-read", ...settings);
  for (const day of [0, 3]) {
    opened.nowMs = NOON_MS + day * DAY_MS;
    await opened.push(
      [100, 300, 500].map((value, at) => ({
        ...{
          metric: "http.request.duration_ms",
          kind: "observation",
          value,
          atMs: opened.nowMs - 1_000 + at,
        },
        labels: {
          operation: `op${at % 2}`,
          status_code: at === 0 ? "500" : "200",
          site: at === 0 ? "a" : "b",
        },
      })),
    );
    if (day === 0) await opened.archiveAll();
  }
  opened.nowMs = NOON_MS + 4 * DAY_MS;
  expect((await opened.gateway.ingest.prune()).days).toHaveLength(1);
  return opened;
}

const RANGE = { from: "2024-10-01", to: "2024-10-10" };

async function summary(name: string, parameters: Record<string, string> = RANGE, headers = {}) {
  const query = new URLSearchParams({ ...parameters, format: "ndjson" });
  const answer = await gateway!.fetch(`/api/v1/summaries/${name}?${query}`, { headers });
  const text = await answer.text();
  if (!answer.ok) return { status: answer.status, text };
  const rows = text.split("\n").filter((line) => line !== "");
  return {
    status: answer.status,
    warnings: answer.headers.get("weir-warnings"),
    rows: rows.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

test("a summary has archived days, of a token's series alone", async () => {
  const path = join(temporaryFolder(), "tokens.json");
  const all = await addToken(path, "all", { scopes: ["read"] });
  const b = await addToken(path, "b", { scopes: ["read"], labels: { site: "b" } });
  gateway = await opened(`--token-file=${path}`);
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const whole = await summary("duration_by_operation", RANGE, bearer(all));
  expect(whole).toMatchObject({ status: 200, warnings: null });
  expect(whole.rows?.map(({ operation, requests, mean_ms }) => ({ operation, requests, mean_ms }))).toEqual([
    { operation: "op0", requests: 4, mean_ms: 300 },
    { operation: "op1", requests: 2, mean_ms: 300 },
  ]);
  const own = await summary("duration_by_operation", RANGE, bearer(b));
  expect(own.rows?.map(({ operation, requests, mean_ms }) => ({ operation, requests, mean_ms }))).toEqual([
    { operation: "op0", requests: 2, mean_ms: 500 },
    { operation: "op1", requests: 2, mean_ms: 300 },
  ]);
});

test("a summary fails if its range needs an archive that is away", async () => {
  gateway = await opened();
  const { to } = gateway;
  renameSync(to, `${to}-away`);
  writeFileSync(to, "no folder");
  await gateway.reopen(`--archive-to=${to}`, "--archive-read");
  const away = await summary("duration_by_operation");
  expect(away).toMatchObject({ status: 503 });
  expect(away.text).toContain("the archive cannot be read: ");
  const recent = await summary("duration_by_operation", { from: "2024-10-07T01:00:00Z", to: "2024-10-10" });
  expect(recent).toMatchObject({ status: 200, warnings: null });
  rmSync(to);
  renameSync(`${to}-away`, to);
});

test("a manifest that is no JSON is not quoted: its text has names of others", async () => {
  gateway = await opened();
  const path = join(gateway.to, "date=2024-10-04", "manifest.json");
  writeFileSync(path, '{"secret.metric": ');
  await gateway.reopen(`--archive-to=${gateway.to}`, "--archive-read");
  expect(await summary("duration_by_operation")).toEqual({
    status: 503,
    text: expect.stringContaining("manifest.json is not JSON; it has 18 bytes") as never,
  });
  expect((await summary("duration_by_operation")).text).not.toContain("secret");
});

test("what reads no archived days says so", async () => {
  gateway = await opened();
  const workers = await summary("workers");
  expect(workers).toMatchObject({ status: 200, warnings: "workers has nothing of archived days" });
  expect(workers.rows?.map(({ samples }) => samples)).toEqual([3]);
  const warnings = async (q: string) => {
    const answer = await gateway!.fetch(`/api/v1/sql?${new URLSearchParams({ q })}`);
    expect(answer.status).toBe(200);
    return answer.headers.get("weir-warnings");
  };
  expect(await warnings("SELECT count(*) FROM series, metrics")).toBe(
    "the table series has nothing of archived days; the table metrics has nothing of archived days",
  );
  expect(await warnings("SELECT count(*) FROM http_request_duration_ms")).toBeNull();
  const lacking = async (path: string) => {
    const answer = await gateway!.fetch(path);
    expect(answer.status).toBe(200);
    await answer.text();
    return answer.headers.get("weir-warnings");
  };
  expect(await lacking("/api/v1/export")).toBe("an export of events has nothing of archived days");
  expect(await lacking("/api/v1/export?from=2024-10-07T06:00:00Z")).toBeNull();
  const metadata = async (more = "") =>
    (await (await gateway!.fetch(`/api/v1/metadata${more}`)).json()) as { warnings?: string[] };
  expect((await metadata()).warnings).toEqual(["metadata have nothing of archived days"]);
  expect((await metadata("?metric=http.request.duration_ms")).warnings).toBeUndefined();
  // Without archived days there is nothing to lack.
  await gateway.reopen(`--archive-to=${gateway.to}`);
  expect(await warnings("SELECT count(*) FROM series")).toBeNull();
});
