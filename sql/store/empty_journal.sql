-- Empties the journal, in the transaction that moves its entries to their tables.
DELETE FROM weir.journal;
