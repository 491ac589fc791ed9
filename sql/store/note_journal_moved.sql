-- Stores the sequence of the last record that moves to the tables, in the transaction that moves it.
UPDATE weir.journal_moved SET sequence = $1;
