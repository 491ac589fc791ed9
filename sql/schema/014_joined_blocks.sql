-- rewrites data
-- Blocks without lines: a list has the numbers themselves, shifted so that it continues the list before it. An item then needs
-- one addition to be read, in SQL as here. src/store/blocks/README.md describes the format.
CREATE TABLE weir.joined_blocks (
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
  -- The unit of times in microseconds, and how many units are between two samples of a block without a list of times.
  unit_us UINTEGER NOT NULL,
  step DOUBLE NOT NULL,
  -- A value is (base + its item in wholes) / scale. Without lists of values, all values are base / scale.
  base DOUBLE NOT NULL,
  scale DOUBLE NOT NULL,
  -- Times in units. Their differences to the first item are those to first_us. NULL if all differences are the step.
  times BIGINT[],
  -- An item that is NULL is a stale marker.
  wholes INTEGER[],
  -- The values, if they are no decimal fractions of a common scale, or too far apart.
  raws DOUBLE[]
);

-- Blocks with lines: times are first_us + unit_us * (floor(place * step) + item), values (base + floor(place * slope) + item) / scale.
INSERT INTO weir.joined_blocks
SELECT day, series_id, live, samples, first_us, last_us, stale, last_value_us, unit_us,
  CASE WHEN has_step THEN step ELSE 0 END, base, scale,
  CASE WHEN has_step THEN NULL
    ELSE list_transform(range(samples), lambda place: floor(place * step)::BIGINT + coalesce(times[place + 1], 0)) END,
  CASE WHEN has_range AND (wholes IS NOT NULL OR slope <> 0) THEN placed::INTEGER[] END,
  CASE WHEN raws IS NOT NULL OR has_range THEN raws
    ELSE list_transform(placed, lambda whole: (base + whole) / scale) END
FROM (
  SELECT *, times IS NULL AND step = floor(step) AS has_step,
    raws IS NULL AND coalesce(list_max(placed), 0) < 2147483648 AND coalesce(list_min(placed), 0) >= -2147483648 AS has_range
  FROM (
    SELECT *,
      CASE
        WHEN raws IS NOT NULL THEN NULL
        WHEN wholes IS NULL THEN list_transform(range(samples), lambda place: floor(place * slope)::BIGINT)
        ELSE list_transform(wholes, lambda whole, place: floor((place - 1) * slope)::BIGINT + whole)
      END AS placed
    FROM weir.blocks
  )
);
DROP TABLE weir.blocks;
ALTER TABLE weir.joined_blocks RENAME TO blocks;

-- Blocks that are being made, and that no reader sees. A transaction moves all of them to weir.blocks, and deletes their rows.
DROP TABLE weir.made_blocks;
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
  scale DOUBLE NOT NULL,
  times DOUBLE[],
  wholes INTEGER[],
  raws DOUBLE[]
);
