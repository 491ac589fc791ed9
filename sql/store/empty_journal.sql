-- Empties the journal's table, in the transaction that moves its entries to their tables.
DELETE FROM weir.journal;
