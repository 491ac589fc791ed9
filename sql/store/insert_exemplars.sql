-- Stores the exemplars that are not stored yet, in their order: a request that comes again brings the same.
INSERT INTO weir.exemplars
SELECT fresh.series_id, fresh.ts, fresh.value, fresh.labels
FROM temp.main.new_exemplars AS fresh
ANTI JOIN weir.exemplars AS stored ON stored.series_id = fresh.series_id AND stored.ts = fresh.ts
ORDER BY fresh.position;
