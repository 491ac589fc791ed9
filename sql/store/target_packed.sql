-- How many samples of each day are in blocks of the new store.
SELECT day, sum(samples)::DOUBLE AS samples FROM target.weir.blocks GROUP BY day;
