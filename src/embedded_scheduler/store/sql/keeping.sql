-- name: keeping.of
SELECT kept_ms, kept_by, removed_ms, removed_by FROM job_results WHERE job_id = :job_id;

-- name: keeping.kept_of
SELECT job_id FROM job_results WHERE job_id IN (SELECT value FROM json_each(:ids)) AND kept_ms IS NOT NULL;

-- name: keeping.keep
INSERT INTO job_results (job_id, kept_ms, kept_by) VALUES (:job_id, :now_ms, :actor)
ON CONFLICT (job_id) DO UPDATE SET kept_ms = excluded.kept_ms, kept_by = excluded.kept_by;

-- name: keeping.release
UPDATE job_results SET kept_ms = NULL, kept_by = '' WHERE job_id = :job_id;

-- name: keeping.removed
INSERT INTO job_results (job_id, removed_ms, removed_by) VALUES (:job_id, :now_ms, :actor)
ON CONFLICT (job_id) DO UPDATE SET removed_ms = excluded.removed_ms, removed_by = excluded.removed_by,
    kept_ms = NULL, kept_by = '';

-- name: keeping.heads
SELECT job_id, flow_id, state, outcome, ended_ms FROM jobs WHERE job_id IN (SELECT value FROM json_each(:ids));

-- name: keeping.parties
SELECT DISTINCT job_id, role, idx FROM attempts WHERE job_id IN (SELECT value FROM json_each(:ids));

-- name: keeping.jobs_of_attempts
SELECT attempt_id, job_id FROM attempts WHERE attempt_id IN (SELECT value FROM json_each(:ids));

-- name: keeping.jobs_of_sessions
SELECT DISTINCT session_id, job_id FROM attempts WHERE session_id IN (SELECT value FROM json_each(:ids));
