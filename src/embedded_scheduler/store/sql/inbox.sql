-- name: inbox.recall
SELECT body_hash, answer FROM inbox WHERE source = :source AND nonce = :nonce AND operation = :operation;

-- name: inbox.is_spent
SELECT 1 FROM inbox WHERE source = :source AND nonce = :nonce AND operation <> :operation LIMIT 1;

-- name: inbox.remember
INSERT INTO inbox (source, nonce, operation, body_hash, answer, received_ms)
VALUES (:source, :nonce, :operation, :body_hash, :answer, :now_ms)
ON CONFLICT (source, nonce, operation) DO NOTHING;

-- name: inbox.tombstone
INSERT INTO tombstones (job_id, source, at_ms) VALUES (:job_id, :source, :now_ms)
ON CONFLICT (job_id, source) DO NOTHING;

-- name: inbox.tombstones_of
-- The index holds the source too, and no source has more rows than it may.
SELECT count(*) AS number FROM (
    SELECT 1 FROM tombstones INDEXED BY tombstones_by_time WHERE source = :source LIMIT :most);

-- name: inbox.is_tombstoned
SELECT 1 FROM tombstones WHERE job_id = :job_id AND source = :source;
