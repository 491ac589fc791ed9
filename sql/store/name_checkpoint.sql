-- Makes the next checkpoint differ from that of any other copy of the store: the catalog has the name.
COMMENT ON TABLE weir.journal_moved IS '{name}';
