-- The sequence of the last record of the journal's file that was moved to the tables.
SELECT max(sequence) AS sequence FROM weir.journal_moved;
