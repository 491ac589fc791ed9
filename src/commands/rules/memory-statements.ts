/** Checks statements of rules with an engine in memory, for commands that have no gateway. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SETTINGS } from "../../config/settings.ts";
import { checkRuleStatement } from "../../query/sandbox/tables-to-come.ts";
import type { CheckStatement } from "../../rules/files/rule-statements.ts";
import { type Connection, Database } from "../../store/engine/duckdb.ts";

const MEMORY_BYTES = 64 * 1_048_576;

/** Calls `work` with a check of statements. The engine is started for the first of them, and ended after `work`. */
export async function withStatementCheck<T>(work: (check: CheckStatement) => Promise<T>): Promise<T> {
  let engine: Promise<{ readonly database: Database; readonly connection: Connection }> | undefined;
  let folder: string | undefined;
  const open = async () => {
    folder = mkdtempSync(join(tmpdir(), "weir-statements-"));
    const database = await Database.open(":memory:", {
      memoryLimitBytes: MEMORY_BYTES,
      threads: 1,
      temporaryDirectory: join(folder, "spill"),
    });
    return { database, connection: await database.connect() };
  };
  try {
    return await work(async (sql) => {
      engine ??= open();
      await checkRuleStatement((await engine).connection, sql, SETTINGS.sqlTextBytesMax.default);
    });
  } finally {
    const opened = await engine?.catch(() => undefined);
    opened?.connection.close();
    opened?.database.close();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  }
}
