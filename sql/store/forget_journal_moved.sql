-- The next row has the sequence of the last record that was moved.
DELETE FROM weir.journal_moved;
