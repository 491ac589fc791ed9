-- What notifications keep: alerts, silences, and the log of sent notifications. Append-only, as weir.groups is. The row of
-- a key with the highest version counts. A row without a definition says that the record was deleted.
CREATE TABLE weir.notifications (
  version UBIGINT NOT NULL,
  -- Its kind and its name: alert/FINGERPRINT, silence/ID, sent/NOTIFIER/GROUP.
  record_key VARCHAR NOT NULL,
  -- JSON (src/rules/notifications/notification-records.ts).
  definition VARCHAR
);
