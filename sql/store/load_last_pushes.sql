-- When each job and instance last pushed, the one that did so longest ago first.
SELECT job, instance, epoch_ms(pushed_at) AS pushed_at_ms FROM weir.last_pushes ORDER BY pushed_at;
