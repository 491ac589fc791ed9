-- How many samples of each day are in blocks of the store to copy.
SELECT day, sum(samples)::DOUBLE AS samples FROM source.weir.blocks GROUP BY day;
