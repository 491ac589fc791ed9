-- The entries that a gateway without a journal file left in this table, in their order.
SELECT entry FROM weir.journal ORDER BY rowid;
