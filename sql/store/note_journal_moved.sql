-- Stores the sequence of the last record that moves to the tables, in the transaction that moves it.
INSERT INTO weir.journal_moved VALUES ($1);
