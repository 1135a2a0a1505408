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

-- name: ledger.newest_claim
-- Every state row names the event that led to it, so rows beyond the ledger's end show that the end was cut off.
SELECT subject, subject_id, seq FROM (
    SELECT 'job' AS subject, job_id AS subject_id, state_seq AS seq FROM jobs
    UNION ALL SELECT 'task', job_id || '/' || name, state_seq FROM tasks
    UNION ALL SELECT 'share', job_id || '/' || task_name || '/' || role || '.' || idx, state_seq FROM shares
    UNION ALL SELECT 'approval', job_id || '/' || node_id, state_seq FROM approvals
) ORDER BY seq DESC LIMIT 1;

-- name: ledger.newest
-- Downwards along the primary key, over the numbers from :least to below :before; an empty filter fits everything.
-- A partner is the actor, the subject, or named in the data.
SELECT * FROM events
WHERE seq >= :least AND seq < :before
  AND at_ms >= :since_ms AND at_ms < :until_ms
  AND (:actor = '' OR actor = :actor OR substr(actor, instr(actor, ':') + 1) = :actor)
  AND (:subject = '' OR subject = :subject OR subject_id = :subject OR substr(subject_id, 1, length(:subject)) = :subject)
  AND (:event = '' OR event = :event OR substr(event, 1, length(:event) + 1) = :event || '.'
       OR substr(event, instr(event, '.') + 1) = :event)
  AND (:partner = '' OR actor = 'peer:' || :partner OR subject_id = :partner
       OR substr(subject_id, -length(:partner) - 1) = '/' || :partner OR instr(data, '"' || :partner || '"') > 0)
ORDER BY seq DESC LIMIT :limit;

-- name: ledger.newest_of_job
SELECT * FROM events
WHERE job_id = :job_id AND job_id <> '' AND seq >= :least AND seq < :before
  AND at_ms >= :since_ms AND at_ms < :until_ms
  AND (:actor = '' OR actor = :actor OR substr(actor, instr(actor, ':') + 1) = :actor)
  AND (:subject = '' OR subject = :subject OR subject_id = :subject OR substr(subject_id, 1, length(:subject)) = :subject)
  AND (:event = '' OR event = :event OR substr(event, 1, length(:event) + 1) = :event || '.'
       OR substr(event, instr(event, '.') + 1) = :event)
  AND (:partner = '' OR actor = 'peer:' || :partner OR subject_id = :partner
       OR substr(subject_id, -length(:partner) - 1) = '/' || :partner OR instr(data, '"' || :partner || '"') > 0)
ORDER BY seq DESC LIMIT :limit;

-- name: ledger.at
SELECT at_ms FROM events WHERE seq = :seq;

-- name: ledger.ready_shares
SELECT subject_id, at_ms FROM events
WHERE job_id = :job_id AND job_id <> '' AND subject = 'share' AND target = 'READY'
  AND substr(subject_id, 1, length(:start)) = :start
ORDER BY seq;
