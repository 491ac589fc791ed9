-- Deletes the watermarks before the newest ones.
DELETE FROM weir.watermarks WHERE generation < $1;
