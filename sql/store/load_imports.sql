-- How far each file was imported.
SELECT file, byte_offset, last_line_hash, date_diff('day', DATE '1970-01-01', last_day) AS last_day,
  epoch_ms(updated_at) AS updated_at_ms, first_line_hash, identity
FROM weir.imports;
