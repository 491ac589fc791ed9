-- What a start reads of small tables, in one statement, since each takes a millisecond: texts of JSON, each of a part. Several values
-- of a part have commas between them. The texts of a table have thousands of rows each.

-- How many rows of each day the newest snapshot contains.
SELECT 'watermarks' AS part, string_agg(json_array(date_diff('day', DATE '1970-01-01', day), rows), ',') AS rows
FROM weir.watermarks
WHERE generation = (SELECT max(generation) FROM weir.watermarks)

-- The newest generation of snapshots. Totals count too, because a snapshot of a file without days has no watermarks.
UNION ALL
SELECT 'generation', coalesce(max(generation), 0)::VARCHAR
FROM (SELECT generation FROM weir.watermarks UNION ALL SELECT generation FROM weir.totals)

-- Every metric, for the registry.
UNION ALL
SELECT 'metrics', string_agg(json_array(metric, kind, type, unit, help, buckets), ',')
FROM weir.metrics
GROUP BY rowid // 4096

-- Idempotency keys that have not expired, with their answers.
UNION ALL
SELECT 'pushes', string_agg(json_array(scope, idempotency_key, body_hash, epoch_ms(received_at), accepted, answer), ',')
FROM weir.pushes
GROUP BY rowid // 4096

-- When each job and instance last pushed.
UNION ALL
SELECT 'lastPushes', string_agg(json_array(job, instance, epoch_ms(pushed_at)), ',')
FROM weir.last_pushes
GROUP BY rowid // 4096

-- The seed of the hashes of bodies.
UNION ALL
SELECT 'bodyHashSeed', to_json(seed)::VARCHAR FROM weir.body_hash_seed

-- The greatest id of a series, if there is one.
UNION ALL
SELECT 'lastSeriesId', max(series_id)::VARCHAR FROM weir.series;
