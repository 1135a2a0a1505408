-- name: attempts.insert
INSERT INTO attempts (attempt_id, job_id, task_name, role, idx, number, runner, handle, session_id, token_hash, log_path,
                      component, limits, input_bytes, created_ms)
VALUES (:attempt_id, :job_id, :task_name, :role, :idx, :number, :runner, :handle, :session_id, :token_hash, :log_path,
        :component, :limits, :input_bytes, :now_ms)
ON CONFLICT (attempt_id) DO UPDATE SET runner = excluded.runner, handle = excluded.handle,
    session_id = excluded.session_id, token_hash = excluded.token_hash, log_path = excluded.log_path,
    component = excluded.component, limits = excluded.limits, input_bytes = excluded.input_bytes
WHERE attempts.launched_ms IS NULL;

-- name: attempts.get
SELECT * FROM attempts WHERE attempt_id = :attempt_id;

-- name: attempts.launched
UPDATE attempts SET launched_ms = :now_ms WHERE attempt_id = :attempt_id AND launched_ms IS NULL;

-- name: attempts.ended
UPDATE attempts SET ended_ms = :now_ms, exit_code = :code, exit_signal = :signal, exit_error = :error, traffic = :traffic,
    cause = :cause, peak_bytes = :peak_bytes
WHERE attempt_id = :attempt_id AND ended_ms IS NULL;

-- name: attempts.callback
UPDATE attempts SET callback = :status, called_ms = coalesce(called_ms, :now_ms) WHERE attempt_id = :attempt_id;

-- name: attempts.of_job
SELECT * FROM attempts WHERE job_id = :job_id ORDER BY task_name, role, idx, number;

-- name: attempts.of_task
SELECT * FROM attempts WHERE job_id = :job_id AND task_name = :task_name ORDER BY role, idx, number;

-- name: attempts.running
SELECT * FROM attempts WHERE ended_ms IS NULL AND launched_ms IS NOT NULL;

-- name: attempts.unfinished
SELECT * FROM attempts WHERE ended_ms IS NULL;

-- name: attempts.uses_of
SELECT input_bytes, peak_bytes, cause FROM attempts
WHERE component = :component AND peak_bytes IS NOT NULL ORDER BY ended_ms DESC LIMIT :limit;

-- name: attempts.of_session
SELECT * FROM attempts WHERE session_id = :session_id;
