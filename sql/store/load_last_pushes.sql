-- When each job and instance last pushed, the oldest first.
SELECT job, instance, epoch_ms(pushed_at) AS pushed_at_ms FROM weir.last_pushes ORDER BY pushed_at;
