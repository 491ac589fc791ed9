-- The samples of a day ($day: days since the epoch) that are in blocks, by time.
WITH asked_blocks AS (SELECT * FROM weir.blocks WHERE day = $day)
SELECT series_id, epoch_us(ts)::DOUBLE AS timestamp_us, value, live
FROM ({@store/unpacked_blocks})
ORDER BY ts;
