-- What the node's own sentences were made of, so that they can be said in another language.
CREATE TABLE sentences (
    text TEXT PRIMARY KEY,   -- in English, as it is stored wherever it was said
    said TEXT NOT NULL       -- JSON: code, facts
) STRICT, WITHOUT ROWID;
