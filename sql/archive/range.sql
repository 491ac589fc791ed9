-- The ids of the rows that are archived now: from $1 up to and without $2.
CREATE OR REPLACE TEMP TABLE archived_range AS SELECT $1::BIGINT AS first_row, $2::BIGINT AS end_row;
