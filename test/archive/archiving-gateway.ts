/** A gateway with an archive for tests: its days are archived when the test says so. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Archive } from "../../src/archive/archiving.ts";
import { dayFolder, type Manifest, readManifest } from "../../src/archive/manifest.ts";
import { Database } from "../../src/store/engine/duckdb.ts";
import { DAY_MS, NOON_MS, TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** The day of `NOON_MS`, in days since the epoch. */
export const DAY = Math.floor(NOON_MS / DAY_MS);
export const HOUR_MS = 3_600_000;

export class ArchivingGateway extends TestGateway {
  readonly to: string;
  /** The day on which it was opened, in days since the epoch. */
  readonly day: number;

  private constructor(nowMs: number, to: string) {
    super(nowMs);
    this.to = to;
    this.day = Math.floor(nowMs / DAY_MS);
  }

  /** @param to a new folder by default, which `close` deletes */
  static async openWith(to = temporaryFolder(), ...settings: string[]): Promise<ArchivingGateway> {
    return await ArchivingGateway.openAt(NOON_MS, to, ...settings);
  }

  /** As `openWith`, at another time. */
  static async openAt(
    nowMs: number,
    to = temporaryFolder(),
    ...settings: string[]
  ): Promise<ArchivingGateway> {
    const gateway = new ArchivingGateway(nowMs, to);
    await gateway.open([`--archive-to=${to}`, ...settings]);
    return gateway;
  }

  get archive(): Archive {
    return this.gateway.services.find((service) => service instanceof Archive)!;
  }

  /** Archives the days that are due: lets the clock pass until the day on which it was opened is over and quiet. */
  async archiveAll(): Promise<void> {
    this.nowMs = Math.max(this.nowMs, (this.day + 1) * DAY_MS + 3 * HOUR_MS);
    await this.archive.archiveDue();
    this.nowMs += 600_000;
    await this.archive.archiveDue();
  }

  /** The manifest of a day, in a folder. */
  manifest(day = this.day): Manifest {
    const path = join(this.to, dayFolder(day), "manifest.json");
    return readManifest(readFileSync(path, "utf8"), path);
  }

  /** Posts events. All must be accepted. */
  async store(events: readonly object[]): Promise<void> {
    const { status, json } = await this.post(JSON.stringify(events));
    if (status !== 200 || json.accepted !== events.length) throw new Error(JSON.stringify(json));
  }

  /** The rows of a statement, as people ask for it. */
  async ask(sql: string): Promise<unknown[]> {
    const answer = await this.fetch(`/api/v1/sql?${new URLSearchParams({ q: sql, format: "ndjson" })}`);
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  }

  /** Closes the gateway. The archive stays. */
  async closeKeeping(): Promise<void> {
    await this.archive.stop();
    await super.close();
  }

  override async close(): Promise<void> {
    await this.closeKeeping();
    rmSync(this.to, { recursive: true, force: true });
  }
}

/** Runs a statement in an engine of its own, as an analyst who has the files would. */
export async function duckdb(sql: string): Promise<Record<string, unknown>[]> {
  const folder = temporaryFolder();
  const database = await Database.open(":memory:", {
    memoryLimitBytes: 2 ** 28,
    threads: 1,
    temporaryDirectory: join(folder, "spill"),
  });
  const connection = await database.connect();
  try {
    return await connection.all(sql);
  } finally {
    connection.close();
    database.close();
    rmSync(folder, { recursive: true });
  }
}
