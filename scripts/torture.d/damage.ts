/**
 * A loss of power, as far as it can be shown without one: the files that a kill left are copied, and the copy gets a shorter
 * log or journal, or a flipped bit. Such a store opens with whole commits, or says what is wrong.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../src/model/counters.ts";
import { openStore } from "../../src/store/open-store.ts";
import { STORE_FILE } from "../../src/store/inspection.ts";
import { statement } from "../../src/store/statements.ts";
import { StoreDamaged, StoreMismatch } from "../../src/store/store.ts";
import { countingSql, type StoredPush } from "./ledger.ts";
import type { Seeded } from "./seeded.ts";

export const ENDS = ["", ".wal", ".journal"] as const;

/** Options to open the store of a folder in this process. */
export const storeOptions = (folder: string) => ({
  path: join(folder, STORE_FILE),
  memoryLimitBytes: 2 ** 28,
  threads: 1,
  temporaryDirectory: join(folder, "tmp"),
  counters: createCounters(),
});

/** Copies the store's files, none of which a process has open. */
export function copyStoreFiles(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const end of ENDS)
    if (existsSync(join(from, STORE_FILE + end)))
      copyFileSync(join(from, STORE_FILE + end), join(to, STORE_FILE + end));
}

/** What each push has in the store of a folder. The store is opened, which moves its journal, and closed. */
export async function countsOf(folder: string): Promise<StoredPush[]> {
  const { store } = await openStore(storeOptions(folder));
  try {
    const reader = await store.reader();
    try {
      const days = store.days();
      if (days.length === 0) return [];
      const union = days.map(({ table, attributes }) => {
        const has = attributes.some(({ column }) => column === "task_id");
        return `SELECT metric, labels, value, ${has ? "task_id" : "NULL AS task_id"} FROM weir.${table} JOIN weir.series USING (series_id)`;
      });
      union.push(
        `SELECT metric, labels, value, NULL FROM (WITH asked_blocks AS (FROM weir.blocks) ${statement("store/unpacked_blocks")})
         JOIN weir.series USING (series_id)`,
      );
      return await reader.all<StoredPush & Record<string, unknown>>(
        countingSql(`(${union.join(" UNION ALL ")})`),
      );
    } finally {
      reader.close();
    }
  } finally {
    await store.close();
  }
}

/** What a store has in blocks. */
export interface PackedCounts {
  readonly samples: number;
  readonly packed: number;
  readonly blocks: number;
  /** Days with blocks whose other rows were copied in parts, because they are more than two row groups. */
  readonly daysInParts: number;
}

const PART_ROWS = 2 * 122_880;

/** Counts samples and blocks in the store of a folder. */
export async function packedCountsOf(folder: string): Promise<PackedCounts> {
  const { store } = await openStore(storeOptions(folder));
  try {
    const days = store.days();
    const sum = (count: (day: (typeof days)[number]) => number) =>
      days.reduce((total, day) => total + count(day), 0);
    const reader = await store.reader();
    try {
      const [counted] = await reader.all<{ blocks: number }>(
        "SELECT count(*)::INT AS blocks FROM weir.blocks",
      );
      return {
        samples: sum(({ rows }) => rows),
        packed: sum(({ packed }) => packed),
        blocks: counted!.blocks,
        daysInParts: sum(({ rows, packed }) => (packed > 0 && rows - packed > PART_ROWS ? 1 : 0)),
      };
    } finally {
      reader.close();
    }
  } finally {
    await store.close();
  }
}

export type Outcome =
  | { readonly kind: "opened"; readonly stored: readonly StoredPush[]; readonly what: string }
  | { readonly kind: "reported"; readonly what: string }
  | { readonly kind: "failed"; readonly what: string };

/**
 * Damages a copy of a folder's store in one place, and opens it.
 *
 * @param into the folder of the copy, which is deleted afterwards
 */
export async function openDamaged(from: string, into: string, random: Seeded): Promise<Outcome> {
  copyStoreFiles(from, into);
  const found = ([".wal", ".journal"] as const).filter((end) => sizeOf(join(into, STORE_FILE + end)) > 0);
  if (found.length === 0) return { kind: "reported", what: "no file to damage" };
  const end = random.pick(found);
  const path = join(into, STORE_FILE + end);
  const bytes = readFileSync(path);
  let what: string;
  if (random.chance(0.5)) {
    const length = bytes.length - 1 - random.below(Math.min(bytes.length, 4_096));
    writeFileSync(path, bytes.subarray(0, length));
    what = `${end} of ${bytes.length} bytes cut at ${length}`;
  } else {
    const at = random.chance(0.5)
      ? bytes.length - 1 - random.below(Math.min(bytes.length, 256))
      : random.below(bytes.length);
    bytes[at]! ^= 1 << random.below(8);
    writeFileSync(path, bytes);
    what = `${end} of ${bytes.length} bytes with a flipped bit at ${at}`;
  }
  try {
    return { kind: "opened", stored: await countsOf(into), what };
  } catch (error) {
    const isReported = error instanceof StoreDamaged || error instanceof StoreMismatch;
    return { kind: isReported ? "reported" : "failed", what: `${what}: ${String(error)}` };
  } finally {
    rmSync(into, { recursive: true, force: true });
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
