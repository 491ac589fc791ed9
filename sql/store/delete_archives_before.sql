-- Forgets what the archive has of days before a day ($1: 2026-11-25), which are dropped.
DELETE FROM weir.archives WHERE record_key < $1;
