-- Every series, for the registry, as JSON: thousands of rows in a text. The names and the values of labels are in one order.
SELECT string_agg(json_array(series_id, metric, exposed, map_keys(labels), map_values(labels)), ',') AS rows
FROM weir.series
GROUP BY series_id // 4096;
