-- How much does each day take?
-- Samples of each stored UTC day, and about how many bytes they take: a sample's size is the mean over all that is stored.
-- given file_bytes: size of the database file
-- given free_bytes: bytes inside the file that are free
-- given log_bytes: size of the write-ahead log
-- given stored_samples: samples in the file
-- given stored_days: `2026-11-26=1200` for each stored day and its samples, with commas between them
SELECT
  split_part(entry, '=', 1)::DATE AS day,
  split_part(entry, '=', 2)::BIGINT AS samples,
  round(samples * ($file_bytes - $free_bytes + $log_bytes) / nullif($stored_samples, 0))::BIGINT AS bytes
FROM (SELECT unnest(string_split($stored_days, ',')) AS entry)
WHERE entry <> ''
ORDER BY day;
