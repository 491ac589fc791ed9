-- What is packed. The table is created again each time: rows that are deleted from a temporary table keep their memory.
CREATE OR REPLACE TEMP TABLE packing (row_end BIGINT NOT NULL, until TIMESTAMP NOT NULL);
