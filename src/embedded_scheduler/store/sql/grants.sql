-- name: grants.add
INSERT INTO grants (grant_id, direction, node_id, kind, audit_id, resource_id, contract_id, name, body, digest, state,
                    state_seq, trace_id, created_ms, since_ms)
VALUES (:grant_id, :direction, :node_id, :kind, :audit_id, :resource_id, :contract_id, :name, :body, :digest,
        'APPLIED', 0, :trace_id, :now_ms, :now_ms);

-- name: grants.set_state
UPDATE grants SET state = :target, state_seq = :seq, since_ms = :now_ms, decided_by = :actor, reason = :reason
WHERE grant_id = :grant_id AND state = :source;

-- name: grants.get
SELECT * FROM grants WHERE grant_id = :grant_id;

-- name: grants.by_prefix
SELECT grant_id FROM grants WHERE grant_id >= :low AND grant_id < :high LIMIT 2;

-- name: grants.page
SELECT * FROM grants WHERE created_ms < :before_ms ORDER BY created_ms DESC, grant_id LIMIT :limit;

-- name: grants.page_of_state
SELECT * FROM grants WHERE direction = :direction AND state = :state AND created_ms < :before_ms
ORDER BY created_ms DESC LIMIT :limit;

-- name: grants.of_resource
SELECT * FROM grants WHERE kind = :kind AND resource_id = :resource_id ORDER BY created_ms DESC, grant_id;

-- name: grants.of_node
SELECT * FROM grants WHERE node_id = :node_id AND kind = :kind AND state = :state ORDER BY created_ms, grant_id;

-- name: grants.open_count
SELECT count(*) AS number FROM grants WHERE direction = 'in' AND state = 'APPLIED';

-- name: grants.open_count_of_node
SELECT count(*) AS number FROM grants
WHERE node_id = :node_id AND kind IN ('dataset', 'project', 'flow', 'job', 'model') AND state = 'APPLIED'
  AND direction = 'in';
