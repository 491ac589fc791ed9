-- Deletes replaced states of groups, and the states of deleted groups.
DELETE FROM weir.groups
WHERE version NOT IN (
  SELECT max(version) FROM weir.groups GROUP BY grouping_key
  HAVING arg_max(definition IS NOT NULL, version)
);
