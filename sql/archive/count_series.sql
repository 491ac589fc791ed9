-- How many series have samples to archive.
SELECT count(*) AS rows FROM temp.main.archived_counts;
