-- How many samples the blocks have that store/delete_scattered deletes.
SELECT coalesce(sum(samples), 0)::DOUBLE AS samples
FROM weir.blocks
WHERE day = $day AND first_us >= $fromUs AND first_us < $untilUs
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]));
