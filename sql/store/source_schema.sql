-- The schema of the store to copy.
SELECT max(version) AS version FROM source.weir.migrations;
