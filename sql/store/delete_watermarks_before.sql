-- Drops the watermarks before the newest.
DELETE FROM weir.watermarks WHERE generation < $1;
