-- Where exemplars stand before it is known which of them are new.
CREATE TEMP TABLE IF NOT EXISTS new_exemplars (
  series_id UINTEGER NOT NULL,
  ts TIMESTAMP NOT NULL,
  value DOUBLE NOT NULL,
  labels MAP(VARCHAR, VARCHAR) NOT NULL
);
