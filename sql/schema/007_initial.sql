-- The schema of the first release. Physical tables are in schema weir. Schema main has what people query. A day's
-- table (weir.samples_YYYYMMDD) is created with the day's first sample, by sql/store/create_day.sql. There are no
-- primary keys: the one process that owns the file keeps rows unique, and an index would double the WAL.
--
-- The versions before 7 were never released. The next change of the schema is a file of its own, 008_*.sql.

-- One row per metric: its meaning, and the bounds of its histogram.
CREATE TABLE weir.metrics (
  metric VARCHAR NOT NULL,
  kind VARCHAR NOT NULL,
  type VARCHAR NOT NULL,
  unit VARCHAR NOT NULL,
  help VARCHAR NOT NULL,
  buckets DOUBLE[] NOT NULL
);

-- One row per series: the identity of its samples. An id is never used again.
CREATE TABLE weir.series (
  series_id UINTEGER NOT NULL,
  metric VARCHAR NOT NULL,
  kind VARCHAR NOT NULL,
  labels MAP(VARCHAR, VARCHAR) NOT NULL,
  -- Whether /metrics exposes it.
  exposed BOOLEAN NOT NULL
);

-- One row per series and day in which it has a sample. Append-only, unlike a last_day column, which would be
-- updated.
CREATE TABLE weir.series_days (
  series_id UINTEGER NOT NULL,
  day DATE NOT NULL
);

-- Idempotency keys with their answers, for 24 hours.
CREATE TABLE weir.pushes (
  scope VARCHAR NOT NULL,
  idempotency_key VARCHAR NOT NULL,
  body_hash VARCHAR NOT NULL,
  received_at TIMESTAMP NOT NULL,
  accepted UBIGINT NOT NULL,
  answer VARCHAR NOT NULL
);

-- How far each imported file was read. The offset commits with its rows, and is kept as long as they are. Files may
-- have the same first line. So an import has a name of its own (file), and an identity that distinguishes its file.
CREATE TABLE weir.imports (
  file VARCHAR NOT NULL,
  byte_offset UBIGINT NOT NULL,
  last_line_hash VARCHAR NOT NULL,
  last_day DATE,
  updated_at TIMESTAMP NOT NULL,
  first_line_hash VARCHAR DEFAULT '',
  identity VARCHAR DEFAULT ''
);

-- Rejected samples with their reasons, bounded.
CREATE TABLE weir.rejected (
  received_at TIMESTAMP NOT NULL,
  protocol VARCHAR NOT NULL,
  instance VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  payload VARCHAR NOT NULL
);

-- Running totals as of a watermark. The highest generation of a series counts.
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
  -- Doubles, little-endian. NULL if there is no histogram.
  buckets BLOB
);

-- When each job and instance last pushed, so that a worker that died is still noticed after a restart of the
-- gateway.
CREATE TABLE weir.last_pushes (
  job VARCHAR NOT NULL,
  instance VARCHAR NOT NULL,
  pushed_at TIMESTAMP NOT NULL
);

-- How many rows of each day table the totals of a generation contain.
CREATE TABLE weir.watermarks (
  generation UINTEGER NOT NULL,
  day DATE NOT NULL,
  rows UBIGINT NOT NULL
);

-- Which column of the day tables has an attribute. Two names that differ only in case cannot both be column names.
CREATE TABLE weir.attributes (
  attribute VARCHAR NOT NULL,
  column_name VARCHAR NOT NULL
);

-- Labels that had too many values, and have been columns of their metric since.
CREATE TABLE weir.demotions (
  metric VARCHAR NOT NULL,
  label VARCHAR NOT NULL,
  decided_at TIMESTAMP NOT NULL
);

-- Pushgateway's groups: which series each exposes. Append-only, like all tables that change often. The row of a
-- group with the highest version counts. A row without a definition says that the group was deleted.
CREATE TABLE weir.groups (
  version UBIGINT NOT NULL,
  -- The grouping labels in JSON, in ascending order of their names.
  grouping_key VARCHAR NOT NULL,
  -- JSON: families with their types, and their series by id. Values and push times are samples of these series.
  definition VARCHAR
);

-- Exemplars: single measurements that stand for others of their series, with labels that lead to more, such as a
-- trace's id. The newest ones, bounded. They are not samples, and no query counts them.
CREATE TABLE weir.exemplars (
  series_id UINTEGER NOT NULL,
  ts TIMESTAMP NOT NULL,
  value DOUBLE NOT NULL,
  labels MAP(VARCHAR, VARCHAR) NOT NULL
);

-- Small changes wait in a file beside this one (src/store/journal/journal-file.ts). This table has the sequence of the
-- last one that is in the tables. It begins with the time in µs, so that records for a store that was removed are not
-- mistaken for the next ones here.
CREATE TABLE weir.journal_moved (sequence BIGINT NOT NULL);
INSERT INTO weir.journal_moved VALUES (epoch_us(get_current_timestamp()));

-- The labels that each server that scrapes this gateway and writes to it adds to a sample, in the order in
-- which they were learned. So the gateway recognises its own samples from /metrics after a restart too.
CREATE TABLE weir.scrapers (
  position UBIGINT NOT NULL,
  -- JSON: names and values in pairs, in ascending order of the names.
  added VARCHAR NOT NULL
);

-- now() as TIMESTAMP in UTC, as ts is: comparing ts with a TIMESTAMPTZ would cast the whole column.
CREATE MACRO main.now() AS (system.main.now() AT TIME ZONE 'UTC');

CREATE VIEW main.metrics AS
SELECT metric, kind, type, unit, help, buckets FROM weir.metrics;

-- A series without a sample has no row here: a demotion may replace a series before its first sample.
CREATE VIEW main.series AS
SELECT s.series_id, s.metric, s.kind, s.labels, min(d.day) AS first_day, max(d.day) AS last_day
FROM weir.series AS s
JOIN weir.series_days AS d ON d.series_id = s.series_id
GROUP BY ALL;

CREATE VIEW main.rejected AS
SELECT received_at, protocol, instance, reason, payload FROM weir.rejected;

CREATE VIEW main.exemplars AS
SELECT e.ts, s.metric, s.labels, e.value, e.labels AS exemplar
FROM weir.exemplars AS e
JOIN weir.series AS s ON s.series_id = e.series_id;
