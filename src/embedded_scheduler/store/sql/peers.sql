-- name: peers.put
INSERT INTO peers (node_id, url, profile, approval, options, registered_ms, signing, tls)
VALUES (:node_id, :url, :profile, :approval, :options, :registered_ms, :signing, :tls)
ON CONFLICT (node_id) DO UPDATE SET url = excluded.url, profile = excluded.profile, approval = excluded.approval,
    options = excluded.options, registered_ms = excluded.registered_ms, signing = excluded.signing, tls = excluded.tls;

-- name: peers.get
SELECT * FROM peers WHERE node_id = :node_id;

-- name: peers.all
SELECT * FROM peers ORDER BY node_id;

-- name: peers.delete
DELETE FROM peers WHERE node_id = :node_id;
