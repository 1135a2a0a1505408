-- name: ledger.last
SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1;

-- name: ledger.append
INSERT INTO events (seq, at_ms, subject, subject_id, job_id, event, source, target, actor, reason, trace_id, data,
                    prev_hash, hash)
VALUES (:seq, :at_ms, :subject, :subject_id, :job_id, :event, :source, :target, :actor, :reason, :trace_id, :data,
        :prev_hash, :hash);

-- name: ledger.page
SELECT * FROM events WHERE seq > :after ORDER BY seq LIMIT :limit;

-- name: ledger.page_of_job
-- The seemingly idle condition lets SQLite use the partial index.
SELECT * FROM events WHERE job_id = :job_id AND job_id <> '' AND seq > :after ORDER BY seq LIMIT :limit;

-- name: ledger.by_seqs
-- CROSS JOIN fixes the order of the loops: one primary key lookup per wanted event.
SELECT e.* FROM json_each(:seqs) AS wanted CROSS JOIN events AS e ON e.seq = wanted.value ORDER BY e.seq;

-- name: ledger.newest_claim
-- Every state row names the event that led to it, so rows beyond the ledger's end show that the end was cut off.
SELECT subject, subject_id, seq FROM (
    SELECT 'job' AS subject, job_id AS subject_id, state_seq AS seq FROM jobs
    UNION ALL SELECT 'task', job_id || '/' || name, state_seq FROM tasks
    UNION ALL SELECT 'share', job_id || '/' || task_name || '/' || role || '.' || idx, state_seq FROM shares
    UNION ALL SELECT 'approval', job_id || '/' || node_id, state_seq FROM approvals
) ORDER BY seq DESC LIMIT 1;
