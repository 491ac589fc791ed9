-- Every metric, for the registry, as JSON.
SELECT string_agg(json_array(metric, kind, type, unit, help, buckets), ',') AS rows FROM weir.metrics GROUP BY rowid // 4096;
