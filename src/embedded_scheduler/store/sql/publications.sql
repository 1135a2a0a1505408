-- name: publications.put
INSERT INTO publications (namespace, name, access, audience, columns, description, category, published_by, published_ms)
VALUES (:namespace, :name, :access, :audience, :columns, :description, :category, :published_by, :now_ms)
ON CONFLICT (namespace, name) DO UPDATE SET access = :access, audience = :audience, columns = :columns,
    description = :description, category = :category, shown = 1, published_by = :published_by, published_ms = :now_ms;

-- name: publications.get
SELECT * FROM publications WHERE namespace = :namespace AND name = :name;

-- name: publications.all
SELECT * FROM publications WHERE shown = 1 ORDER BY namespace, name;

-- name: publications.hide
UPDATE publications SET shown = 0 WHERE namespace = :namespace AND name = :name AND shown = 1;
