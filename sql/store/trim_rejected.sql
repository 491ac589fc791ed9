-- Keeps the newest $1 rejected samples.
DELETE FROM weir.rejected
WHERE rowid NOT IN (SELECT rowid FROM weir.rejected ORDER BY received_at DESC, rowid DESC LIMIT $1);
