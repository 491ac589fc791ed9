-- Stores the sequence of the last record that moves to the tables, and the time in microseconds, in the transaction that
-- moves it.
INSERT INTO weir.journal_moved (sequence, moved_at) VALUES ($1, make_timestamp($2));
