-- How many states the archive keeps, outdated ones included, and the newest version number.
SELECT count(*) AS rows, coalesce(max(version), 0) AS version FROM weir.archives;
