-- How full is the disk, and when will it be full?
-- The rate is that of the samples whose time lies in the range; a sample's size is the mean over all that is stored.
-- Space that dropped days left free inside the file is used again, and counts as room. Retention is not looked at: a
-- gateway that drops as much a day as it takes in never fills its disk.
-- parameter from time = -7d: start of the range that gives the rate
-- parameter to time = now: end of the range, not included
-- given file_bytes: size of the database file
-- given free_bytes: bytes inside the file that are free
-- given log_bytes: size of the write-ahead log
-- given disk_free_bytes: bytes that are free on the disk
-- given stored_samples: samples in the file
-- table samples:
WITH counted AS (
  SELECT count(*) AS samples, min(ts) AS first FROM samples WHERE ts >= $from AND ts < $to
),
rates AS (
  SELECT
    ($file_bytes - $free_bytes + $log_bytes) / nullif($stored_samples, 0) AS bytes_per_sample,
    -- Less than an hour says nothing of a day.
    samples / nullif(greatest(date_diff('microsecond', first, $to::TIMESTAMP), 3600000000) / 86400000000, 0) AS samples_per_day
  FROM counted
)
SELECT
  $file_bytes::BIGINT AS file_bytes,
  $free_bytes::BIGINT AS free_in_file_bytes,
  $log_bytes::BIGINT AS log_bytes,
  $disk_free_bytes::BIGINT AS disk_free_bytes,
  $stored_samples::BIGINT AS stored_samples,
  round(bytes_per_sample, 2) AS bytes_per_sample,
  round(samples_per_day) AS samples_per_day,
  round(samples_per_day * bytes_per_sample) AS bytes_per_day,
  round(($disk_free_bytes + $free_bytes) / nullif(samples_per_day * bytes_per_sample, 0), 1) AS days_until_full
FROM rates;
