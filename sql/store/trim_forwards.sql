-- Deletes replaced states of what forwarding keeps, and the states of what was deleted.
DELETE FROM weir.forwards
WHERE version NOT IN (
  SELECT max(version) FROM weir.forwards GROUP BY record_key
  HAVING arg_max(definition IS NOT NULL, version)
);
