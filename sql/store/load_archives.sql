-- What the archive keeps, ordered by the newest state of each key, oldest first.
SELECT record_key AS key, definition
FROM (
  SELECT version, record_key, definition
  FROM weir.archives
  QUALIFY row_number() OVER (PARTITION BY record_key ORDER BY version DESC) = 1
)
WHERE definition IS NOT NULL
ORDER BY version;
