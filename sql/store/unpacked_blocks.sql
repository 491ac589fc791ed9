-- The samples of the blocks in asked_blocks, as rows, with its other columns (such as labels). A part of other statements.
--
-- What is the same for all samples of a block is computed below the unnest: beside it, it would be computed for each sample. Lists
-- are unnested as numbers of one type: a second list, which is NULL in most blocks, would take as long as the first one. A list
-- whose column is not asked for is not unnested.
SELECT * EXCLUDE (form, base, scale, has_times, origin_us, unit_us, "time", item),
  make_timestamp(CASE WHEN has_times THEN origin_us + unit_us * "time" ELSE "time" END) AS ts,
  -- The forms: 0 all values are equal, 1 whole numbers, 2 decimal fractions, 3 any values. No form takes an operation more than
  -- it needs, and each returns the bits that were stored.
  CASE form WHEN 1 THEN base + item WHEN 2 THEN (base + item) / scale WHEN 3 THEN item ELSE base END AS value
FROM (
  SELECT * EXCLUDE (times, items), unnest(times) AS "time", unnest(items) AS item
  FROM (
    SELECT * EXCLUDE (samples, first_us, last_us, stale, last_value_us, unit_us, step, times, wholes, raws, base),
      CASE WHEN raws IS NOT NULL THEN 3 WHEN wholes IS NULL THEN 0 WHEN scale = 1 THEN 1 ELSE 2 END AS form,
      CASE WHEN raws IS NULL AND wholes IS NULL THEN base / scale ELSE base END AS base,
      coalesce(raws, wholes::DOUBLE[], range(samples)::DOUBLE[]) AS items,
      times IS NOT NULL AS has_times,
      first_us - unit_us * times[1] AS origin_us,
      unit_us::BIGINT AS unit_us,
      coalesce(times, range(first_us, last_us + 1, greatest(unit_us * step, 1)::BIGINT)) AS times
    FROM asked_blocks
  )
)
