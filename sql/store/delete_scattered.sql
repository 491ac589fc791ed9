-- Deletes all blocks of some series in a span, whose samples are in other blocks now.
DELETE FROM weir.blocks
WHERE day = $day AND first_us >= $fromUs AND first_us < $untilUs
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]));
