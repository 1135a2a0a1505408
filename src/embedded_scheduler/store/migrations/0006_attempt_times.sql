-- Where the time of an attempt went.

ALTER TABLE attempts ADD COLUMN called_ms INTEGER;                 -- when the component first reported itself
ALTER TABLE attempts ADD COLUMN traffic TEXT NOT NULL DEFAULT '';  -- what it did on the channel (engine/traffic.py); '' = not measured
