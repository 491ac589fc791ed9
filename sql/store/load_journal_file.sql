-- The key of the journal's file, and when its records were moved last. No row if the store needs no journal.
SELECT file_key, (SELECT epoch_ms(max(moved_at)) FROM weir.journal_moved)::DOUBLE AS moved_at_ms
FROM weir.journal_file;
