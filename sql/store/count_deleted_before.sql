-- How many of the deleted rows of a day are before each of some row ids ($1).
SELECT bound, (SELECT count(*) FROM temp.main.deleted_rows WHERE row_id < bound) AS deleted
FROM (SELECT DISTINCT unnest($1::BIGINT[]) AS bound);
