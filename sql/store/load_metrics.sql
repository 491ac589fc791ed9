-- Every metric, for the registry.
SELECT metric, kind, type, unit, help, buckets FROM weir.metrics;
