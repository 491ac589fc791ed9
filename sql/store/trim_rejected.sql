-- Keeps the newest dead letters only.
DELETE FROM weir.rejected
WHERE rowid NOT IN (SELECT rowid FROM weir.rejected ORDER BY received_at DESC, rowid DESC LIMIT $1);
