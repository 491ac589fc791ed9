-- Days are UTC days on every machine. Casts to TIMESTAMPTZ must not depend on the machine's time zone.
SET GLOBAL TimeZone = 'UTC';
