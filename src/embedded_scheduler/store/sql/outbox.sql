-- name: outbox.add
INSERT INTO outbox (job_id, lane, kind, target, operation, key, body, nonce, trace_id, state, created_ms,
                              next_ms)
VALUES (:job_id, :lane, :kind, :target, :operation, :key, :body, :nonce, :trace_id, 'waiting', :created_ms, :next_ms)
ON CONFLICT (job_id, key) DO NOTHING;

-- name: outbox.heads
SELECT o.* FROM outbox AS o INDEXED BY outbox_due
WHERE o.state = 'waiting' AND o.next_ms <= :now_ms
  AND NOT EXISTS (SELECT 1 FROM outbox AS e INDEXED BY outbox_by_lane
                  WHERE e.state = 'waiting' AND e.lane = o.lane AND e.id < o.id)
  AND o.lane NOT IN (SELECT value FROM json_each(:busy_lanes))
ORDER BY o.next_ms, o.id LIMIT :limit;

-- name: outbox.next_due
SELECT o.next_ms FROM outbox AS o INDEXED BY outbox_due
WHERE o.state = 'waiting'
  AND NOT EXISTS (SELECT 1 FROM outbox AS e INDEXED BY outbox_by_lane
                  WHERE e.state = 'waiting' AND e.lane = o.lane AND e.id < o.id)
  AND o.lane NOT IN (SELECT value FROM json_each(:busy_lanes))
ORDER BY o.next_ms, o.id LIMIT 1;

-- name: outbox.finish
UPDATE outbox SET state = :state, last_error = :error, attempts = attempts + 1, done_ms = :now_ms
WHERE id = :id AND state = 'waiting';

-- name: outbox.retry
UPDATE outbox SET attempts = attempts + 1, last_error = :error, next_ms = :next_ms WHERE id = :id AND state = 'waiting';

-- name: outbox.abandon
UPDATE outbox SET state = 'abandoned', done_ms = :now_ms WHERE job_id = :job_id AND key = :key AND state = 'waiting';

-- name: outbox.revive
-- Only rows that were tried: one that has not been due yet keeps its own time.
UPDATE outbox INDEXED BY outbox_due SET next_ms = :now_ms
WHERE state = 'waiting' AND next_ms > :now_ms AND target = :target AND attempts > 0;

-- name: outbox.for_job
SELECT * FROM outbox WHERE job_id = :job_id ORDER BY id;

-- name: outbox.undelivered
SELECT target, count(*) AS rows FROM outbox INDEXED BY outbox_by_lane WHERE state = 'waiting' GROUP BY target;
