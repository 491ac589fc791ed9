-- Every series, for the registry.
SELECT series_id, metric, labels, exposed FROM weir.series ORDER BY series_id;
