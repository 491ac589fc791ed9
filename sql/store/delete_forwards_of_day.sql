-- Forgets what destinations have received of a day ($1: 2026-11-25), in the target of a copy.
DELETE FROM target.weir.forwards WHERE ends_with(record_key, '/' || $1);
