-- How many samples of each day are in blocks.
SELECT day, sum(samples)::DOUBLE AS samples FROM weir.blocks GROUP BY day;
