-- Which rows of a day an administrator deletes, by their ids.
CREATE TEMP TABLE IF NOT EXISTS deleted_rows (row_id BIGINT NOT NULL);
