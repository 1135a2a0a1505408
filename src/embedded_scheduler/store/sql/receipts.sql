-- name: receipts.note
INSERT INTO receipts (node_id, key, state, at_ms) VALUES (:node_id, :key, :state, :now_ms)
ON CONFLICT (node_id, key, state) DO NOTHING;

-- name: receipts.of_message
SELECT at_ms FROM receipts WHERE node_id = :node_id AND key = :key AND state = :state;

-- name: receipts.messages
-- Of the newest rows of the outbox: nobody looks further back, and looking must not cost more with time.
SELECT * FROM (SELECT * FROM outbox ORDER BY id DESC LIMIT 20000)
WHERE kind = 'call' AND (job_id = '' OR operation IN ('job/create', 'job/create_all', 'job/audit_confirm'))
  AND (:node_id = '' OR target = :node_id) AND operation <> 'message/receipt'
ORDER BY id DESC LIMIT :limit;

-- name: receipts.message
SELECT * FROM outbox WHERE id = :id AND kind = 'call';

-- name: receipts.by_key
SELECT * FROM outbox WHERE job_id = '' AND key = :key;

-- name: receipts.resend
UPDATE outbox SET state = 'waiting', next_ms = :now_ms, behind = 0, last_error = '', done_ms = NULL
WHERE id = :id AND (state = 'waiting' OR (job_id = '' AND state IN ('refused', 'abandoned')));

-- name: receipts.approval
SELECT state FROM approvals WHERE job_id = :job_id AND node_id = :node_id;

-- name: receipts.by_nonce
-- Few rows belong to no job.
SELECT * FROM outbox WHERE job_id = '' AND target = :node_id AND nonce = :nonce LIMIT 1;
