-- Forgets what the archive has of a day ($1: 2026-11-25), in the target of a copy.
DELETE FROM target.weir.archives WHERE record_key = $1;
