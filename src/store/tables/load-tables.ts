/** Reads everything that a store keeps in memory: what each table has when a file is opened. */
import { dropStayingRows } from "../blocks/staying-rows.ts";
import type { TotalsRecord } from "../../model/records.ts";
import type { Connection } from "../engine/duckdb.ts";
import { loadDays } from "./days.ts";
import { ExemplarTable } from "./exemplar-rows.ts";
import { loadRecords } from "./load-records.ts";
import { RejectedTable } from "./rejected-rows.ts";
import { loadStates } from "./state-rows.ts";
import type { Stored } from "../store.ts";
import { StoredTables } from "./stored-tables.ts";
import type { TableWriters } from "./writing.ts";

/** What is stored, and the writers of the tables, which continue from there. */
export interface LoadedTables {
  readonly stored: Stored;
  /** Of the newest snapshot of the totals, and how many rows of each day it contains. */
  readonly generation: number;
  readonly watermarks: ReadonlyMap<number, number>;
  readonly tables: TableWriters;
}

/** Reads it. `known` need not be read. */
export async function loadTables(
  connection: Connection,
  known: { readonly inFile?: StoredTables; readonly totals?: readonly TotalsRecord[] | undefined } = {},
): Promise<LoadedTables> {
  const inFile = known.inFile ?? (await StoredTables.read(connection));
  await dropStayingRows(connection, inFile.names);
  const days = await loadDays(connection, inFile);
  const { stored, generation, watermarks } = await loadRecords(connection, inFile, known.totals);
  const states = await loadStates(connection, inFile);
  const rejected = new RejectedTable();
  await rejected.load(connection, inFile);
  return {
    stored: { ...stored, ...states.records },
    generation,
    watermarks,
    tables: { ...days, ...states.tables, exemplars: new ExemplarTable(), rejected },
  };
}
