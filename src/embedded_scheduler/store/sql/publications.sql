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
