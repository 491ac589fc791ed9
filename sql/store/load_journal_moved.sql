-- The sequence of the last record of the journal's file that was moved to the tables.
SELECT sequence FROM weir.journal_moved;
