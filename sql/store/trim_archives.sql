-- Deletes replaced states of what the archive keeps, and the states of what was deleted.
DELETE FROM weir.archives
WHERE version NOT IN (
  SELECT max(version) FROM weir.archives GROUP BY record_key
  HAVING arg_max(definition IS NOT NULL, version)
);
