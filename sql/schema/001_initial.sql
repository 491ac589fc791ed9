-- The first shape of the file. Physical tables live in schema weir; schema main holds what people query.
-- The day tables (weir.samples_YYYYMMDD) are made when a day's first sample arrives, from sql/store/create_day.sql.
-- No primary keys: uniqueness is kept by the one process that owns the file, and an index would double the WAL.

-- One row a metric: what it means and how its histogram is cut.
CREATE TABLE weir.metrics (
  metric VARCHAR NOT NULL,
  kind VARCHAR NOT NULL,
  type VARCHAR NOT NULL,
  unit VARCHAR NOT NULL,
  help VARCHAR NOT NULL,
  buckets DOUBLE[] NOT NULL
);

-- One row a series: the identity of its samples. Ids are never used again.
CREATE TABLE weir.series (
  series_id UINTEGER NOT NULL,
  metric VARCHAR NOT NULL,
  kind VARCHAR NOT NULL,
  labels MAP(VARCHAR, VARCHAR) NOT NULL,
  -- Whether it is for /metrics.
  exposed BOOLEAN NOT NULL
);

-- One row a series and day that holds a sample of it: append-only where a last_day column would be updated.
CREATE TABLE weir.series_days (
  series_id UINTEGER NOT NULL,
  day DATE NOT NULL
);

-- Idempotency keys and the answers that they got, for 24 hours.
CREATE TABLE weir.pushes (
  scope VARCHAR NOT NULL,
  idempotency_key VARCHAR NOT NULL,
  body_hash VARCHAR NOT NULL,
  received_at TIMESTAMP NOT NULL,
  accepted UBIGINT NOT NULL,
  answer VARCHAR NOT NULL
);

-- How far each imported file was read: the offset commits with its rows, and is kept as long as they are.
CREATE TABLE weir.imports (
  file VARCHAR NOT NULL,
  byte_offset UBIGINT NOT NULL,
  last_line_hash VARCHAR NOT NULL,
  last_day DATE,
  updated_at TIMESTAMP NOT NULL
);

-- Dead letters: what was turned away and why, bounded.
CREATE TABLE weir.rejected (
  received_at TIMESTAMP NOT NULL,
  protocol VARCHAR NOT NULL,
  instance VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  payload VARCHAR NOT NULL
);

-- Running totals as they stood at a watermark; the highest generation of a series counts.
CREATE TABLE weir.totals (
  generation UINTEGER NOT NULL,
  series_id UINTEGER NOT NULL,
  count DOUBLE NOT NULL,
  sum_high DOUBLE NOT NULL,
  sum_low DOUBLE NOT NULL,
  value DOUBLE,
  created_us DOUBLE NOT NULL,
  last_us DOUBLE NOT NULL,
  arrived_us DOUBLE NOT NULL,
  -- Doubles, little-endian; NULL where there is no histogram.
  buckets BLOB
);

-- When each job and instance last pushed: a worker that died is missed after a restart of the gateway too.
CREATE TABLE weir.last_pushes (
  job VARCHAR NOT NULL,
  instance VARCHAR NOT NULL,
  pushed_at TIMESTAMP NOT NULL
);

-- How many rows of each day table the totals of a generation hold.
CREATE TABLE weir.watermarks (
  generation UINTEGER NOT NULL,
  day DATE NOT NULL,
  rows UBIGINT NOT NULL
);

-- Which column of the day tables holds an attribute: names that differ only in case cannot both be a column's.
CREATE TABLE weir.attributes (
  attribute VARCHAR NOT NULL,
  column_name VARCHAR NOT NULL
);

-- Labels that took too many values, and are columns of their metric since.
CREATE TABLE weir.demotions (
  metric VARCHAR NOT NULL,
  label VARCHAR NOT NULL,
  decided_at TIMESTAMP NOT NULL
);

-- now() as TIMESTAMP in UTC, since ts is one: a comparison with a TIMESTAMPTZ would cast the whole column.
CREATE MACRO main.now() AS (system.main.now() AT TIME ZONE 'UTC');

CREATE VIEW main.metrics AS
SELECT metric, kind, type, unit, help, buckets FROM weir.metrics;

-- A series that a demotion took the place of before its first sample has no row here.
CREATE VIEW main.series AS
SELECT s.series_id, s.metric, s.kind, s.labels, min(d.day) AS first_day, max(d.day) AS last_day
FROM weir.series AS s
JOIN weir.series_days AS d ON d.series_id = s.series_id
GROUP BY ALL;

CREATE VIEW main.rejected AS
SELECT received_at, protocol, instance, reason, payload FROM weir.rejected;
