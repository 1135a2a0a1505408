-- name: outbox.add
INSERT INTO outbox (job_id, lane, kind, target, operation, key, body, nonce, trace_id, state, created_ms,
                              next_ms, behind)
VALUES (:job_id, :lane, :kind, :target, :operation, :key, :body, :nonce, :trace_id, 'waiting', :created_ms, :next_ms,
        EXISTS (SELECT 1 FROM outbox INDEXED BY outbox_by_lane WHERE state = 'waiting' AND lane = :lane))
ON CONFLICT (job_id, key) DO NOTHING;

-- name: outbox.targets
-- From one target to the next, however many rows wait for each.
WITH RECURSIVE seen (target) AS (
    SELECT min(target) FROM outbox INDEXED BY outbox_calls WHERE state = 'waiting' AND behind = 0 AND kind = 'call'
    UNION ALL
    SELECT (SELECT min(o.target) FROM outbox AS o INDEXED BY outbox_calls
            WHERE o.state = 'waiting' AND o.behind = 0 AND o.kind = 'call' AND o.target > seen.target)
    FROM seen WHERE seen.target IS NOT NULL)
SELECT target FROM seen WHERE target IS NOT NULL;

-- name: outbox.due_calls
SELECT * FROM outbox INDEXED BY outbox_calls
WHERE state = 'waiting' AND behind = 0 AND kind = 'call' AND target = :target AND next_ms <= :now_ms
  AND lane NOT IN (SELECT value FROM json_each(:busy_lanes))
ORDER BY next_ms, id LIMIT :limit;

-- name: outbox.due_launches
SELECT * FROM outbox INDEXED BY outbox_launches
WHERE state = 'waiting' AND behind = 0 AND kind = 'launch' AND next_ms <= :now_ms
  AND lane NOT IN (SELECT value FROM json_each(:busy_lanes))
ORDER BY next_ms, id LIMIT :limit;

-- name: outbox.due_ends
-- With an order to end an attempt, the order to launch it that is still before it.
SELECT head.* FROM outbox AS t INDEXED BY outbox_ends
JOIN outbox AS head ON head.id = (SELECT min(e.id) FROM outbox AS e INDEXED BY outbox_by_lane
                                  WHERE e.state = 'waiting' AND e.lane = t.lane)
WHERE t.state = 'waiting' AND t.kind = 'terminate' AND head.next_ms <= :now_ms
  AND t.lane NOT IN (SELECT value FROM json_each(:busy_lanes))
ORDER BY t.id LIMIT :limit;

-- name: outbox.next_due
-- Two look-ups: min and max in one statement would read all between them.
SELECT (SELECT min(next_ms) FROM outbox INDEXED BY outbox_due
        WHERE state = 'waiting' AND behind = 0 AND next_ms > :now_ms) AS first,
       (SELECT max(next_ms) FROM outbox INDEXED BY outbox_due
        WHERE state = 'waiting' AND behind = 0 AND next_ms > :now_ms) AS last;

-- name: outbox.pull_in
UPDATE outbox INDEXED BY outbox_due SET next_ms = :now_ms
WHERE state = 'waiting' AND behind = 0 AND next_ms > :latest_ms;

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
WHERE state = 'waiting' AND behind = 0 AND next_ms > :now_ms AND target = :target AND attempts > 0;

-- name: outbox.hasten_launches
UPDATE outbox INDEXED BY outbox_launches SET next_ms = :now_ms
WHERE state = 'waiting' AND behind = 0 AND kind = 'launch' AND next_ms > :now_ms;

-- name: outbox.hasten
UPDATE outbox SET next_ms = :now_ms
WHERE job_id = :job_id AND key = :key AND state = 'waiting' AND next_ms > :now_ms;

-- name: outbox.for_job
SELECT * FROM outbox WHERE job_id = :job_id ORDER BY id;

-- name: outbox.undelivered
SELECT target, count(*) AS rows FROM outbox INDEXED BY outbox_by_lane WHERE state = 'waiting' GROUP BY target;

-- name: outbox.waiting_messages
SELECT * FROM outbox INDEXED BY outbox_messages WHERE job_id = '' AND state = 'waiting' ORDER BY id;

-- name: outbox.waiting_since
SELECT target, count(*) AS rows, min(created_ms) AS oldest_ms FROM outbox INDEXED BY outbox_by_lane
WHERE state = 'waiting' GROUP BY target;
