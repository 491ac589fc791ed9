-- Deletes the exemplars of some series in a range of time, both ends included, in microseconds since the epoch.
DELETE FROM weir.exemplars
WHERE ts >= make_timestamp($fromUs) AND ts <= make_timestamp($toUs)
  AND series_id IN (SELECT unnest($seriesIds::UINTEGER[]));
