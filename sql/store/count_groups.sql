-- How many states of groups are stored, and the last version that was given.
SELECT count(*) AS rows, coalesce(max(version), 0) AS version FROM weir.groups;
