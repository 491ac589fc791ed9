-- The samples of all blocks of some series in a span, in the columns of store/packable_rows.
WITH asked_blocks AS (
  SELECT * FROM weir.blocks
  WHERE day = $day AND first_us >= $fromUs AND first_us < $untilUs
    AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]))
)
SELECT series_id, 0::UINTEGER, 0::DOUBLE, 0::DOUBLE, live::DOUBLE, 0::DOUBLE, 0::DOUBLE, NULL::DOUBLE[],
  NULL::INTEGER[], list(value), list(epoch_us(ts)::DOUBLE)
FROM (
  {@store/unpacked_blocks}
)
GROUP BY series_id, live;
