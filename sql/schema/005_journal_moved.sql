-- Small changes wait in a file beside this one (src/store/journal/journal-file.ts). This table has the sequence of the
-- last one that is in the tables. The earlier table, weir.journal, is empty unless a killed gateway left
-- entries there.
CREATE TABLE weir.journal_moved (sequence BIGINT NOT NULL);
-- It begins with the time in µs, so that records for a store that was removed are not mistaken for the next
-- ones here.
INSERT INTO weir.journal_moved VALUES (epoch_us(get_current_timestamp()));
