-- As in a new store: no journal of an earlier one continues from here.
INSERT INTO target.weir.journal_moved (sequence) VALUES (epoch_us(get_current_timestamp()));
