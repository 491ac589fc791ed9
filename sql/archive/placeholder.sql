-- Stands for all parts of an archive while a statement is planned. Its values exclude no condition: the plan then says which parts the
-- statement reads, by the conditions on archived_part.
CREATE OR REPLACE TEMP TABLE archived_placeholder AS
SELECT * FROM (
  VALUES
    (TIMESTAMP '0001-01-01 00:00:00', -1e308::DOUBLE, ''::VARCHAR, MAP {'': ''}, -1::INTEGER),
    (TIMESTAMP '9999-01-01 00:00:00', 1e308::DOUBLE, 'z'::VARCHAR, MAP {'z': 'z'}, 2147483647::INTEGER)
) AS placeholder(ts, value, tag, labels, archived_part);
