-- The columns of the samples that are archived now, in their order.
SELECT column_name AS name FROM (DESCRIBE archived_rows);
