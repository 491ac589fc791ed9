-- Rejected samples can be listed by metric and labels, and pushed again.
ALTER TABLE weir.rejected ADD COLUMN rejected_id BIGINT;
ALTER TABLE weir.rejected ADD COLUMN cause VARCHAR;
-- Empty if the sample could not be decoded so far.
ALTER TABLE weir.rejected ADD COLUMN metric VARCHAR;
-- JSON: the labels of the sample, or only those that its push adds to all samples.
ALTER TABLE weir.rejected ADD COLUMN labels VARCHAR;
-- JSON: the sample as it can be pushed again (src/ingest/admission/rejected-sample.ts). Empty if it cannot be.
ALTER TABLE weir.rejected ADD COLUMN sample VARCHAR;

-- Rows of earlier versions have what was sent, for people.
UPDATE weir.rejected SET rejected_id = rowid + 1, cause = '', metric = '', labels = '{}', sample = '';

CREATE OR REPLACE VIEW main.rejected AS
SELECT received_at, protocol, instance, reason, payload, cause, metric FROM weir.rejected;
