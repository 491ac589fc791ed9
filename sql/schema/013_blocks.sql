-- Samples of gauges and cumulative series of closed spans, as blocks: one row has up to 1,024 samples of one series.
-- src/store/blocks/README.md describes the format, and sql/store/unpacked_blocks.sql makes rows of it.
CREATE TABLE weir.blocks (
  -- Days since 1970-01-01.
  day INTEGER NOT NULL,
  series_id UINTEGER NOT NULL,
  -- Whether the samples count in running totals.
  live BOOLEAN NOT NULL,
  samples UINTEGER NOT NULL,
  -- The times of the first and the last sample, microseconds since the epoch.
  first_us BIGINT NOT NULL,
  last_us BIGINT NOT NULL,
  -- How many samples are stale markers, and the time of the last one that is none (0 if all are).
  stale UINTEGER NOT NULL,
  last_value_us BIGINT NOT NULL,
  -- The unit of the times behind the first one, in microseconds, and how many units are between two samples.
  unit_us UINTEGER NOT NULL,
  step DOUBLE NOT NULL,
  -- A value is (base + floor(place * slope) + its item in wholes) / scale.
  base DOUBLE NOT NULL,
  slope DOUBLE NOT NULL,
  scale DOUBLE NOT NULL,
  -- How far each time is from its place on the line. NULL if all are on it.
  times INTEGER[],
  -- How far each value is from its place on the line. NULL if all are on it. An item that is NULL is a stale marker.
  wholes INTEGER[],
  -- The values, if they are no decimal fractions of a common scale.
  raws DOUBLE[]
);

-- Blocks that are being made, and that no reader sees. A transaction moves all of them to weir.blocks, and deletes their rows.
CREATE TABLE weir.made_blocks (
  day INTEGER NOT NULL,
  series_id UINTEGER NOT NULL,
  live BOOLEAN NOT NULL,
  samples UINTEGER NOT NULL,
  first_us BIGINT NOT NULL,
  last_us BIGINT NOT NULL,
  stale UINTEGER NOT NULL,
  last_value_us BIGINT NOT NULL,
  unit_us UINTEGER NOT NULL,
  step DOUBLE NOT NULL,
  base DOUBLE NOT NULL,
  slope DOUBLE NOT NULL,
  scale DOUBLE NOT NULL,
  times INTEGER[],
  wholes INTEGER[],
  raws DOUBLE[]
);
