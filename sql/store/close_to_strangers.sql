-- What no query may change or reach, once the file is open and the schema stands.
SET enable_external_access = false;
