-- The newest rejected sample.
SELECT coalesce(max(rejected_id), 0)::DOUBLE AS newest FROM weir.rejected;
