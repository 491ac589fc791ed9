-- Makes room for the next samples that are looked for.
DELETE FROM temp.main.wanted_samples;
