-- The existing groups, ordered by their newest state, oldest first.
SELECT grouping_key AS key, definition
FROM (
  SELECT version, grouping_key, definition
  FROM weir.groups
  QUALIFY row_number() OVER (PARTITION BY grouping_key ORDER BY version DESC) = 1
)
WHERE definition IS NOT NULL
ORDER BY version;
