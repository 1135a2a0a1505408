-- What an attempt might use and used, and why it failed, as a class.
ALTER TABLE attempts ADD COLUMN component TEXT NOT NULL DEFAULT '';    -- provider/name
ALTER TABLE attempts ADD COLUMN limits TEXT NOT NULL DEFAULT '[]';     -- JSON: kind, value, origin, asked
ALTER TABLE attempts ADD COLUMN input_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN peak_bytes INTEGER;                    -- memory; NULL = not measured
CREATE INDEX attempts_by_component ON attempts (component, ended_ms) WHERE peak_bytes IS NOT NULL;
