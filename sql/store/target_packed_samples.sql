-- How many samples are in the blocks of the target.
SELECT coalesce(sum(samples), 0)::DOUBLE AS samples FROM target.weir.blocks;
