-- name: publications.put
INSERT INTO publications (namespace, name, access, audience, columns, description, category, published_by, published_ms)
VALUES (:namespace, :name, :access, :audience, :columns, :description, :category, :published_by, :now_ms)
ON CONFLICT (namespace, name) DO UPDATE SET access = :access, audience = :audience, columns = :columns,
    description = :description, category = :category, published_by = :published_by, published_ms = :now_ms;

-- name: publications.get
SELECT * FROM publications WHERE namespace = :namespace AND name = :name;

-- name: publications.all
SELECT * FROM publications ORDER BY namespace, name;

-- name: publications.delete
DELETE FROM publications WHERE namespace = :namespace AND name = :name;

-- name: receipts.note
INSERT INTO receipts (node_id, key, state, at_ms) VALUES (:node_id, :key, :state, :now_ms)
ON CONFLICT (node_id, key, state) DO NOTHING;

-- name: receipts.of_node
SELECT * FROM receipts WHERE node_id = :node_id AND key = :key;
