-- name: permits.add
INSERT INTO permits (grant_id, issued, token_hash, token, level, resource_type, resource_id, resource_node_id,
                     resource_inst_id, request_node_id, request_inst_id, time_limit_ms, times_limit, created_ms)
VALUES (:grant_id, :issued, :token_hash, :token, :level, :resource_type, :resource_id, :resource_node_id,
        :resource_inst_id, :request_node_id, :request_inst_id, :time_limit_ms, :times_limit, :now_ms)
ON CONFLICT (grant_id) DO NOTHING;

-- name: permits.get
SELECT * FROM permits WHERE grant_id = :grant_id;

-- name: permits.issued
SELECT p.*, g.state AS grant_state FROM permits AS p JOIN grants AS g ON g.grant_id = p.grant_id
WHERE p.token_hash = :token_hash AND p.issued = 1;

-- name: permits.held
-- For datasets of one node, those that can be used now, the highest level first.
SELECT p.*, g.state AS grant_state FROM permits AS p JOIN grants AS g ON g.grant_id = p.grant_id
WHERE p.resource_node_id = :node_id AND p.resource_id = :resource_id AND p.issued = 0 AND g.state = 'APPROVED'
  AND (p.time_limit_ms IS NULL OR p.time_limit_ms > :now_ms)
ORDER BY p.level DESC, p.created_ms DESC;

-- name: permits.use
INSERT INTO permit_uses (grant_id, job_id, at_ms) VALUES (:grant_id, :job_id, :now_ms)
ON CONFLICT (grant_id, job_id) DO NOTHING;

-- name: permits.count_use
UPDATE permits SET used = used + 1 WHERE grant_id = :grant_id;

-- name: permits.uses
SELECT u.job_id, j.state FROM permit_uses AS u LEFT JOIN jobs AS j ON j.job_id = u.job_id
WHERE u.grant_id = :grant_id ORDER BY u.at_ms;

-- name: permits.carry
INSERT INTO job_permits (job_id, resource, level, token) VALUES (:job_id, :resource, :level, :token)
ON CONFLICT (job_id, resource, token) DO NOTHING;

-- name: permits.carried
SELECT resource, level, token FROM job_permits WHERE job_id = :job_id ORDER BY resource, token;
