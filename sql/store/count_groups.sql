-- How many states of groups are stored, and the newest version number.
SELECT count(*) AS rows, coalesce(max(version), 0) AS version FROM weir.groups;
