-- In which days a series has samples, of the blocks that were read.
INSERT INTO target.weir.series_days
SELECT DISTINCT series_id, DATE '1970-01-01' + day
FROM target.weir.blocks AS blocks
WHERE NOT EXISTS (
  FROM target.weir.series_days AS known
  WHERE known.series_id = blocks.series_id AND known.day = DATE '1970-01-01' + blocks.day
);
