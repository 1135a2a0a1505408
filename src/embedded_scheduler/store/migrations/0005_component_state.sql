-- Components can be put out of use without being forgotten.
ALTER TABLE components ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;
