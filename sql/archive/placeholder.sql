-- Stands for all parts of an archive while a statement is planned. Its values exclude no condition: the plan then says which parts the
-- statement reads, by the conditions on archived_part. So each column has its lowest and its highest value (the engine compares the
-- first eight bytes of texts), and NULL.
CREATE OR REPLACE TEMP TABLE archived_placeholder AS
SELECT * FROM (
  VALUES
    (TIMESTAMP '0001-01-01 00:00:00', '-inf'::DOUBLE, ''::VARCHAR, MAP {'': ''}, -1::INTEGER),
    (TIMESTAMP '0001-01-01 00:00:00', NULL, NULL, MAP {'': NULL}, -1::INTEGER),
    (
      TIMESTAMP '9999-01-01 00:00:00', 'nan'::DOUBLE, repeat(chr(1114111), 2),
      MAP {repeat(chr(1114111), 2): repeat(chr(1114111), 2)}, 2147483647::INTEGER
    )
) AS placeholder(ts, value, tag, "labels of series", archived_part);
