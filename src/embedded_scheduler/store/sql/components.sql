-- name: components.put
INSERT INTO components (provider, name, version, code, image_url, manifest, registered_ms, registered_by, runner)
VALUES (:provider, :name, :version, :code, :image_url, :manifest, :registered_ms, :registered_by, :runner)
ON CONFLICT (provider, name, version) DO UPDATE SET code = excluded.code, image_url = excluded.image_url,
    manifest = excluded.manifest, registered_ms = excluded.registered_ms, registered_by = excluded.registered_by,
    runner = excluded.runner;

-- name: components.get
SELECT * FROM components WHERE provider = :provider AND name = :name AND version = :version;

-- name: components.all
SELECT * FROM components ORDER BY provider, name, version;

-- name: components.newest_by_name
SELECT * FROM components WHERE provider = :provider AND name = :name ORDER BY registered_ms DESC, version DESC LIMIT 1;

-- name: components.by_code
SELECT * FROM components WHERE code = :code ORDER BY registered_ms DESC, version DESC, provider, name;

-- name: components.set_enabled
UPDATE components SET enabled = :enabled WHERE provider = :provider AND name = :name AND version = :version;

-- name: components.delete
DELETE FROM components WHERE provider = :provider AND name = :name AND version = :version;
