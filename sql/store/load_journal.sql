-- The entries of the journal in their order.
SELECT entry FROM weir.journal ORDER BY rowid;
