-- What the archive keeps, ordered by the newest state of each key, oldest first, as JSON: thousands of rows in a text.
SELECT string_agg(json_array(record_key, definition), ',' ORDER BY version) AS rows
FROM (
  SELECT version, record_key, definition
  FROM weir.archives
  QUALIFY row_number() OVER (PARTITION BY record_key ORDER BY version DESC) = 1
)
WHERE definition IS NOT NULL
GROUP BY version // 4096
ORDER BY min(version);
