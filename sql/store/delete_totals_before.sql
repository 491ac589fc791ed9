-- Deletes the snapshots before a whole one.
DELETE FROM weir.totals WHERE generation < $1;
