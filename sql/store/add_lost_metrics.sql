-- Metrics that could not be read, as far as their series say what they are.
INSERT INTO target.weir.metrics
SELECT DISTINCT metric, kind, CASE kind WHEN 'observation' THEN 'histogram' WHEN 'delta' THEN 'counter' WHEN 'gauge' THEN 'gauge' ELSE 'unknown' END, '', '', []::DOUBLE[]
FROM target.weir.series
WHERE metric NOT IN (SELECT metric FROM target.weir.metrics);
