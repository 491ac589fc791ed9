-- Forgets blocks that were made and not moved to weir.blocks.
DELETE FROM weir.made_blocks;
