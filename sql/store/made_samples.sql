-- How many samples the blocks that were made have: those of a day ($1: days since the epoch), and all.
SELECT coalesce(sum(samples) FILTER (day = $1), 0)::DOUBLE AS samples, coalesce(sum(samples), 0)::DOUBLE AS all_samples
FROM weir.made_blocks;
