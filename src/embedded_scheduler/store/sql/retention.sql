-- name: retention.inbox
DELETE FROM inbox WHERE (source, nonce, operation) IN (
    SELECT source, nonce, operation FROM inbox WHERE received_ms < :before ORDER BY received_ms LIMIT :limit);

-- name: retention.oldest_kept
-- When the oldest of the newest `keep` answers to a caller was given; of those before `before`.
SELECT received_ms FROM inbox INDEXED BY inbox_by_time WHERE source = :source AND received_ms < :before
ORDER BY received_ms DESC LIMIT 1 OFFSET :keep;

-- name: retention.inbox_of
DELETE FROM inbox WHERE (source, nonce, operation) IN (
    SELECT source, nonce, operation FROM inbox INDEXED BY inbox_by_time
    WHERE source = :source AND received_ms <= :oldest ORDER BY received_ms LIMIT :limit);

-- name: retention.tombstones
DELETE FROM tombstones WHERE (job_id, source) IN (
    SELECT job_id, source FROM tombstones WHERE at_ms < :before ORDER BY at_ms LIMIT :limit);

-- name: retention.outbox
-- While its job goes on, a finished row keeps its key from being added again. State and index condition must agree.
DELETE FROM outbox WHERE id IN (
    SELECT o.id FROM outbox AS o INDEXED BY outbox_done
    WHERE o.state <> 'waiting' AND o.done_ms < :before
      AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.job_id = o.job_id AND j.ended_ms IS NULL)
    ORDER BY o.done_ms LIMIT :limit);
