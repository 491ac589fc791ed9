-- Stores the key of the journal's file before its first record.
INSERT INTO weir.journal_file VALUES ($1);
