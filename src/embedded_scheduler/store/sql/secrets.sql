-- name: secrets.put
INSERT INTO secrets (name, sealed, key_id, created_ms, changed_ms)
VALUES (:name, :sealed, :key_id, :now_ms, :now_ms)
ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, key_id = excluded.key_id, changed_ms = excluded.changed_ms;

-- name: secrets.get
SELECT name, key_id, created_ms, changed_ms FROM secrets WHERE name = :name;

-- name: secrets.sealed
SELECT sealed FROM secrets WHERE name = :name;

-- name: secrets.all
SELECT name, key_id, created_ms, changed_ms FROM secrets ORDER BY name;

-- name: secrets.delete
DELETE FROM secrets WHERE name = :name;
