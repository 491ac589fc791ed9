-- Deletes what later states of groups replaced, and groups that were deleted.
DELETE FROM weir.groups
WHERE version NOT IN (
  SELECT max(version) FROM weir.groups GROUP BY grouping_key
  HAVING arg_max(definition IS NOT NULL, version)
);
