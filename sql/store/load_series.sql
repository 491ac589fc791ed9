-- The series with ids of a range, for the registry, as JSON: all of them in one text, which takes a third less time than several. The
-- names and the values of labels are in one order. The engine keeps all texts in memory, so it is asked for the series in parts.
SELECT string_agg(json_array(series_id, metric, exposed, map_keys(labels), map_values(labels)), ',') AS rows
FROM weir.series
WHERE series_id >= $fromId AND series_id < $toId;
