/** What the tables know of the journal: how far its records have moved, and which file it has. */
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";
import type { ExpectedJournal } from "./journal-file.ts";

/** The sequence of the last record that moved, and what the store knows about the file of its journal: undefined if it needs none. */
export interface JournalState {
  readonly sequence: number;
  readonly expected?: ExpectedJournal | undefined;
}

/** Reads it from the tables. */
export async function expectedJournal(connection: Connection): Promise<JournalState> {
  type Row = { sequence: number; moved_at_ms: number | null; file_key: string | null };
  const [row] = await connection.all<Row>(statement("store/load_journal"));
  const { sequence, moved_at_ms: movedAtMs, file_key: key } = row!;
  return { sequence, expected: key === null ? undefined : { key, movedAtMs: movedAtMs ?? undefined } };
}

/** Notes the sequence of the last record that moved. Call it in the transaction that moves it. */
export async function noteMoved(connection: Connection, sequence: number): Promise<void> {
  await connection.run(statement("store/note_journal_moved"), [sequence, Date.now() * 1000]);
}

/** Runs a function in a transaction. */
export type InTransaction = (action: () => Promise<void>) => Promise<void>;
