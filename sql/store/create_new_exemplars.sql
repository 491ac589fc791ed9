-- Exemplars that may be stored already. The table is created again each time: rows that are
-- deleted from a temporary table still take memory, and time in every later scan.
CREATE OR REPLACE TEMP TABLE new_exemplars (
  position UINTEGER NOT NULL,
  series_id UINTEGER NOT NULL,
  ts TIMESTAMP NOT NULL,
  value DOUBLE NOT NULL,
  labels MAP(VARCHAR, VARCHAR) NOT NULL
);
