-- The samples of the blocks in asked_blocks, as rows. A part of other statements.
SELECT day, series_id, live,
  make_timestamp(first_us + unit_us * (floor(place * step)::BIGINT + coalesce(late, 0))) AS ts,
  CASE
    WHEN has_raws THEN raw
    WHEN has_wholes AND whole IS NULL THEN NULL
    ELSE (base + floor(place * slope) + coalesce(whole, 0)) / scale
  END AS value
FROM (
  SELECT day, series_id, live, first_us, unit_us, step, base, slope, scale,
    raws IS NOT NULL AS has_raws, wholes IS NOT NULL AS has_wholes,
    unnest(range(samples)) AS place, unnest(times) AS late, unnest(wholes) AS whole, unnest(raws) AS raw
  FROM asked_blocks
)
