-- The sequence of the last record of the journal that is in the tables. No row if it could not be read.
SELECT sequence FROM target.weir.journal_moved;
