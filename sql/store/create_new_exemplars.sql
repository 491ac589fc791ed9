-- Where exemplars stand before it is known which of them are new. Made anew each time: rows that are deleted from a
-- temporary table keep their place in memory, and in every later scan of it.
CREATE OR REPLACE TEMP TABLE new_exemplars (
  position UINTEGER NOT NULL,
  series_id UINTEGER NOT NULL,
  ts TIMESTAMP NOT NULL,
  value DOUBLE NOT NULL,
  labels MAP(VARCHAR, VARCHAR) NOT NULL
);
