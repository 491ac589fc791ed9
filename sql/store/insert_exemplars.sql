-- Stores the exemplars that are not stored yet, in their order. A repeated request sends the same ones.
INSERT INTO weir.exemplars
SELECT fresh.series_id, fresh.ts, fresh.value, fresh.labels
FROM temp.main.new_exemplars AS fresh
ANTI JOIN weir.exemplars AS stored ON stored.series_id = fresh.series_id AND stored.ts = fresh.ts
ORDER BY fresh.position;
