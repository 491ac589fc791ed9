-- The newest generation of snapshots. Totals count too, because a snapshot of a file without days has no
-- watermarks.
SELECT coalesce(max(generation), 0) AS generation
FROM (SELECT generation FROM weir.watermarks UNION ALL SELECT generation FROM weir.totals);
