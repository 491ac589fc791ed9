-- Deletes the list of last pushes, before the new one is written.
DELETE FROM weir.last_pushes;
