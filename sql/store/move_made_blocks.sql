-- Makes the blocks visible. Those of one series are consecutive in each span.
INSERT INTO weir.blocks SELECT * FROM weir.made_blocks;
