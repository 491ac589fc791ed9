-- The database whose rows are copied. It is not changed, and no gateway can open it meanwhile.
ATTACH '{path}' AS source (READ_ONLY);
