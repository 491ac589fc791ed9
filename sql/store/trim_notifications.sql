-- Deletes replaced states of what notifications keep, and the states of what was deleted.
DELETE FROM weir.notifications
WHERE version NOT IN (
  SELECT max(version) FROM weir.notifications GROUP BY record_key
  HAVING arg_max(definition IS NOT NULL, version)
);
