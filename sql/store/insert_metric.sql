-- Writes what is known of a metric; the bounds come as text: [1, 2.5, 5].
INSERT INTO weir.metrics VALUES ($1, $2, $3, $4, $5, $6::VARCHAR::DOUBLE[]);
