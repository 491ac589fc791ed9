-- Begins the transaction that moves records of the journal, and deletes the sequence of the last ones. Both in one call,
-- because a reader waits for the move. The engine refuses a checkpoint while a reader is open that began before an UPDATE.
-- It does not after a DELETE and an INSERT.
BEGIN;
DELETE FROM weir.journal_moved;
