-- The sequence of the last record of the journal's file that was moved to the tables, when that was, and the key of the file: NULL
-- if the store needs no journal.
SELECT max(sequence) AS sequence, epoch_ms(max(moved_at))::DOUBLE AS moved_at_ms,
  (SELECT max(file_key) FROM weir.journal_file) AS file_key
FROM weir.journal_moved;
