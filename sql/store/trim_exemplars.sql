-- Keeps about so many of the newest exemplars.
DELETE FROM weir.exemplars WHERE rowid <= (SELECT max(rowid) FROM weir.exemplars) - $1;
