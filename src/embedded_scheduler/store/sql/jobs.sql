-- name: jobs.insert
INSERT INTO jobs (job_id, position, flow_id, state, state_seq, coordinator, initiator, digest, document, as_sent,
                  trace_id, tasks_total, created_ms, since_ms, summary, searched)
VALUES (:job_id, (SELECT coalesce(max(position), 0) + 1 FROM jobs), :flow_id, 'PENDING', :seq, :coordinator, :initiator,
        :digest, :document, :as_sent, :trace_id, :tasks_total, :now_ms, :now_ms, :summary, :searched);

-- name: jobs.insert_task
INSERT INTO tasks (job_id, name, state, state_seq, since_ms) VALUES (:job_id, :name, 'PENDING', :seq, :now_ms);

-- name: jobs.insert_share
INSERT INTO shares (job_id, task_name, role, idx, node_id, state, state_seq, since_ms)
VALUES (:job_id, :task_name, :role, :idx, :node_id, 'PENDING', :seq, :now_ms);

-- name: jobs.insert_approval
INSERT INTO approvals (job_id, node_id, state, state_seq, since_ms)
VALUES (:job_id, :node_id, 'PENDING', :seq, :now_ms);

-- name: jobs.head
SELECT * FROM jobs WHERE job_id = :job_id;

-- name: jobs.tasks
SELECT * FROM tasks WHERE job_id = :job_id;

-- name: jobs.shares
SELECT * FROM shares WHERE job_id = :job_id ORDER BY task_name, role, idx;

-- name: jobs.approvals
SELECT * FROM approvals WHERE job_id = :job_id;

-- name: jobs.approval_of
SELECT state FROM approvals WHERE job_id = :job_id AND node_id = :node_id;

-- name: jobs.task_by_id
-- The second condition is the index's own: without it every task of every job is read.
SELECT job_id, name FROM tasks WHERE task_id = :task_id AND task_id <> '';

-- name: jobs.set_state
UPDATE jobs SET state = :target, state_seq = :seq, since_ms = :now_ms, outcome = coalesce(:outcome, outcome),
       reason = CASE WHEN :reason = '' THEN reason ELSE :reason END,
       started_ms = CASE WHEN :target = 'RUNNING' THEN :now_ms ELSE started_ms END,
       ended_ms = CASE WHEN :terminal THEN :now_ms ELSE ended_ms END
WHERE job_id = :job_id AND state = :source;

-- name: jobs.set_task_state
UPDATE tasks SET state = :target, state_seq = :seq, since_ms = :now_ms,
       started_ms = CASE WHEN :target <> 'PENDING' AND started_ms IS NULL THEN :now_ms ELSE started_ms END,
       ended_ms = CASE WHEN :terminal THEN :now_ms ELSE ended_ms END
WHERE job_id = :job_id AND name = :name AND state = :source;

-- name: jobs.set_share_state
UPDATE shares SET state = :target, state_seq = :seq, since_ms = :now_ms, outcome = :outcome, reason = :reason
WHERE job_id = :job_id AND task_name = :task_name AND role = :role AND idx = :idx AND state = :source;

-- name: jobs.set_approval_state
UPDATE approvals SET state = :target, state_seq = :seq, since_ms = :now_ms, reason = :reason, decided_by = :actor
WHERE job_id = :job_id AND node_id = :node_id AND state = :source;

-- name: jobs.count_done
UPDATE jobs SET tasks_done = tasks_done + 1 WHERE job_id = :job_id;

-- name: jobs.name_task
UPDATE tasks SET task_id = :task_id WHERE job_id = :job_id AND name = :name;

-- name: jobs.cancel_task
UPDATE tasks SET cancelled = 1 WHERE job_id = :job_id AND name = :name;

-- name: jobs.request_stop
UPDATE jobs SET stop_reason = :reason WHERE job_id = :job_id AND stop_reason = '';

-- name: jobs.record_verdict
UPDATE jobs SET verdict_state = :state, verdict_outcome = :outcome, verdict_reason = :reason, verdict_final = :final
WHERE job_id = :job_id;

-- name: jobs.page
SELECT j.*, EXISTS (SELECT 1 FROM approvals a WHERE a.job_id = j.job_id AND a.node_id = :self AND a.state = 'PENDING')
       AS needs_decision
FROM jobs j
WHERE j.position < :before
ORDER BY j.position DESC LIMIT :limit;

-- name: jobs.page_by_state
SELECT j.*, EXISTS (SELECT 1 FROM approvals a WHERE a.job_id = j.job_id AND a.node_id = :self AND a.state = 'PENDING')
       AS needs_decision
FROM jobs j
WHERE j.state = :state AND j.position < :before
ORDER BY j.position DESC LIMIT :limit;

-- name: jobs.page_by_flow
SELECT j.*, EXISTS (SELECT 1 FROM approvals a WHERE a.job_id = j.job_id AND a.node_id = :self AND a.state = 'PENDING')
       AS needs_decision
FROM jobs j
WHERE j.flow_id = :flow_id AND j.position < :before
ORDER BY j.position DESC LIMIT :limit;

-- name: jobs.decided_here
-- What became of one initiator's jobs at this node, newest first; without their documents.
SELECT j.job_id, j.flow_id, j.summary, a.state, a.since_ms, a.decided_by
FROM jobs j JOIN approvals a ON a.job_id = j.job_id AND a.node_id = :self
WHERE j.initiator = :initiator AND j.position < :before
ORDER BY j.position DESC LIMIT :limit;

-- name: jobs.page_needing_decision
SELECT j.*, 1 AS needs_decision
FROM approvals a JOIN jobs j ON j.job_id = a.job_id
WHERE a.node_id = :self AND a.state = 'PENDING' AND j.position < :before
ORDER BY j.position DESC LIMIT :limit;

-- name: jobs.by_prefix
SELECT job_id FROM jobs WHERE job_id >= :low AND job_id < :high LIMIT 2;

-- name: jobs.open
SELECT job_id FROM jobs WHERE state = :state ORDER BY position;

-- name: jobs.open_people
-- Who takes part in jobs that are not over.
SELECT initiator, coordinator, summary FROM jobs INDEXED BY jobs_by_state
WHERE state IN ('PENDING', 'READY', 'RUNNING') LIMIT :most;

-- name: jobs.counts
SELECT state, count(*) AS number FROM jobs GROUP BY state;

-- name: jobs.waiting_here
SELECT count(*) AS number FROM approvals WHERE node_id = :self AND state = 'PENDING';

-- name: jobs.states_of_flow
SELECT job_id, state FROM jobs WHERE flow_id = :flow_id ORDER BY position;

-- name: jobs.states
SELECT job_id, state FROM jobs ORDER BY position;

-- name: jobs.open_count
SELECT count(*) AS number FROM jobs WHERE state IN ('PENDING', 'READY', 'RUNNING');

-- name: jobs.open_count_of
SELECT count(*) AS number FROM (
    SELECT 1 FROM jobs INDEXED BY jobs_by_state WHERE state IN ('PENDING', 'READY', 'RUNNING')
      AND (coordinator = :node_id OR initiator = :node_id) LIMIT :most);

-- name: jobs.note_call
UPDATE outbox SET state = :state, attempts = attempts + 1, last_error = :error, next_ms = :next_ms,
       done_ms = CASE WHEN :state = 'waiting' THEN NULL ELSE :now_ms END
WHERE job_id = :job_id AND key = :key;

-- name: jobs.version
SELECT version FROM job_versions WHERE job_id = :job_id;

-- name: jobs.set_version
INSERT INTO job_versions (job_id, version) VALUES (:job_id, :version)
ON CONFLICT (job_id) DO UPDATE SET version = excluded.version;
