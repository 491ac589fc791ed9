-- The entries that a gateway of before the journal's file left in their table, in their order.
SELECT entry FROM weir.journal ORDER BY rowid;
