-- name: datasets.put
INSERT INTO datasets (namespace, name, connector, options, description, columns, rows, size_bytes, fingerprint,
                      registered_ms)
VALUES (:namespace, :name, :connector, :options, :description, :columns, :rows, :size_bytes, :fingerprint,
        :registered_ms)
ON CONFLICT (namespace, name) DO UPDATE SET connector = excluded.connector, options = excluded.options,
    description = excluded.description, columns = excluded.columns, rows = excluded.rows,
    size_bytes = excluded.size_bytes, fingerprint = excluded.fingerprint, registered_ms = excluded.registered_ms;

-- name: datasets.get
SELECT * FROM datasets WHERE namespace = :namespace AND name = :name;

-- name: datasets.all
SELECT * FROM datasets ORDER BY namespace, name;

-- name: datasets.delete
DELETE FROM datasets WHERE namespace = :namespace AND name = :name;
