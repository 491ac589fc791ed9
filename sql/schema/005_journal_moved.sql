-- Small changes wait in a file beside this one (src/store/journal/journal-file.ts); this is the sequence of the last of them that
-- is in the tables. The table of before is empty, but for what a gateway that was killed left there.
CREATE TABLE weir.journal_moved (sequence BIGINT NOT NULL);
-- It begins with the time, in µs, so that what waits for a store that was removed is not taken for what comes next here.
INSERT INTO weir.journal_moved VALUES (epoch_us(get_current_timestamp()));
