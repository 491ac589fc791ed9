-- Reads one column in full. `content` is there so that no count is taken from the engine's statistics.
SELECT count(*)::DOUBLE AS rows, max(hash({column})) AS content FROM source.weir.{table};
