-- name: tokens.add
INSERT INTO tokens (token_id, name, scopes, hash, created_ms, created_by, expires_ms)
VALUES (:token_id, :name, :scopes, :hash, :now_ms, :created_by, :expires_ms);

-- name: tokens.all
SELECT * FROM tokens ORDER BY created_ms, token_id;

-- name: tokens.valid_by_name
SELECT * FROM tokens WHERE name = :name AND revoked_ms IS NULL;

-- name: tokens.by_id
SELECT * FROM tokens WHERE token_id = :token_id;

-- name: tokens.revoke
UPDATE tokens SET revoked_ms = :now_ms WHERE token_id = :token_id AND revoked_ms IS NULL;

-- name: tokens.used
UPDATE tokens SET last_used_ms = :at_ms WHERE token_id = :token_id AND coalesce(last_used_ms, 0) < :at_ms;
