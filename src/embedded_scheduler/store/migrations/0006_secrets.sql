-- What connectors need to open a source, sealed with a key that is not in this file.

CREATE TABLE secrets (
    name       TEXT    PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    key_id     TEXT    NOT NULL,  -- which data key sealed it
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
