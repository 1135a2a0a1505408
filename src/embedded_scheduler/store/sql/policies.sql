-- name: policies.current
SELECT version, text, digest, set_by, at_ms FROM policies ORDER BY version DESC LIMIT 1;

-- name: policies.insert
INSERT INTO policies (version, text, digest, set_by, at_ms) VALUES (:version, :text, :digest, :set_by, :at_ms);

-- name: policies.ruling
SELECT * FROM rulings WHERE kind = :kind AND subject_id = :subject_id;

-- name: policies.put_ruling
-- A ruling about other content under the same id is replaced: nothing came of it.
INSERT INTO rulings (kind, subject_id, digest, version, action, rule, reason, reasoning, binding, at_ms)
VALUES (:kind, :subject_id, :digest, :version, :action, :rule, :reason, :reasoning, :binding, :at_ms)
ON CONFLICT (kind, subject_id) DO UPDATE SET digest = excluded.digest, version = excluded.version,
    action = excluded.action, rule = excluded.rule, reason = excluded.reason, reasoning = excluded.reasoning,
    binding = excluded.binding, at_ms = excluded.at_ms;

-- name: policies.approvals_since
SELECT count(*) AS number FROM rulings WHERE action = 'approve' AND rule = :rule AND at_ms > :after_ms;

-- name: policies.waiting_jobs
-- Requests of jobs that wait for this node's decision.
SELECT job_id, since_ms, state_seq FROM approvals WHERE node_id = :self AND state = 'PENDING';

-- name: policies.waiting_grants
-- Partners' requests that wait for this node's decision.
SELECT grant_id, since_ms FROM grants WHERE direction = 'in' AND state = 'APPLIED';
