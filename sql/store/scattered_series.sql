-- The series of a day ($1: days since 1970) that have more blocks in a span ($4 microseconds) than their samples need ($2 for each
-- block) and some to spare ($3): the number of the span in the day, and how many samples all their blocks of the span have.
SELECT ((first_us - $1::BIGINT * 86400000000) // $4)::DOUBLE AS span, series_id, sum(samples)::DOUBLE AS samples
FROM weir.blocks
WHERE day = $1
GROUP BY ALL
HAVING count(*) > ceil(sum(samples) / $2) + $3
ORDER BY span, series_id;
