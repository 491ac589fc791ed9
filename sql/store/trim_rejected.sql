-- Keeps the newest $1 rejected samples, and of these the newest that have $2 bytes together.
DELETE FROM weir.rejected
WHERE rejected_id <= (
  SELECT coalesce(max(rejected_id), -1)
  FROM (
    SELECT
      rejected_id,
      row_number() OVER newest AS position,
      sum(strlen(instance) + strlen(reason) + strlen(payload) + strlen(labels) + strlen(sample) + 64) OVER newest AS bytes
    FROM weir.rejected
    WINDOW newest AS (ORDER BY rejected_id DESC ROWS UNBOUNDED PRECEDING)
  )
  WHERE position > $1 OR bytes > $2
);
