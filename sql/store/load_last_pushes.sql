-- When each job and instance last pushed, as JSON.
SELECT string_agg(json_array(job, instance, epoch_ms(pushed_at)), ',') AS rows FROM weir.last_pushes GROUP BY rowid // 4096;
