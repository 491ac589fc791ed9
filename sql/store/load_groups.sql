-- The existing groups, ordered by their newest state, oldest first, as JSON: thousands of rows in a text.
SELECT string_agg(json_array(grouping_key, definition), ',' ORDER BY version) AS rows
FROM (
  SELECT version, grouping_key, definition
  FROM weir.groups
  QUALIFY row_number() OVER (PARTITION BY grouping_key ORDER BY version DESC) = 1
)
WHERE definition IS NOT NULL
GROUP BY version // 4096
ORDER BY min(version);
