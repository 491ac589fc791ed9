-- The ids of the rows of a day that an administrator deletes.
CREATE TEMP TABLE IF NOT EXISTS deleted_rows (row_id BIGINT NOT NULL);
