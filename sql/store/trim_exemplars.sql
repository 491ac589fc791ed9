-- Keeps approximately the newest $1 exemplars.
DELETE FROM weir.exemplars WHERE rowid <= (SELECT max(rowid) FROM weir.exemplars) - $1;
