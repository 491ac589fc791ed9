-- Days are UTC days wherever the machine stands: casts to TIMESTAMPTZ must not depend on its clock's zone.
SET GLOBAL TimeZone = 'UTC';
