-- Deletes the sequence before the next one is stored. The engine refuses a checkpoint while a reader is open that began
-- before an UPDATE. It does not after a DELETE and an INSERT.
DELETE FROM weir.journal_moved;
