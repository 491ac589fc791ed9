-- Deletes the blocks that store/unpack_deleted made rows of.
DELETE FROM weir.blocks
WHERE day = $day AND last_us >= $fromUs AND first_us <= $toUs
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]));
