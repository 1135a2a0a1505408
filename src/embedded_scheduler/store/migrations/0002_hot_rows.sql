-- Only the first waiting row of a lane can be delivered. `behind` marks the others, so that looking for work costs the
-- same with ten thousand rows in line as with ten.

ALTER TABLE outbox ADD COLUMN behind INTEGER NOT NULL DEFAULT 0;

UPDATE outbox SET behind = 1 WHERE state = 'waiting'
    AND EXISTS (SELECT 1 FROM outbox AS e WHERE e.state = 'waiting' AND e.lane = outbox.lane AND e.id < outbox.id);

DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (next_ms, id) WHERE state = 'waiting' AND behind = 0;
CREATE INDEX outbox_calls ON outbox (target, next_ms, id) WHERE state = 'waiting' AND behind = 0 AND kind = 'call';
CREATE INDEX outbox_launches ON outbox (next_ms, id) WHERE state = 'waiting' AND behind = 0 AND kind = 'launch';
CREATE INDEX outbox_ends ON outbox (id) WHERE state = 'waiting' AND kind = 'terminate';

CREATE TRIGGER outbox_next AFTER UPDATE OF state ON outbox WHEN OLD.state = 'waiting' AND NEW.state <> 'waiting'
BEGIN
    UPDATE outbox SET behind = 0
    WHERE id = (SELECT min(id) FROM outbox WHERE state = 'waiting' AND lane = NEW.lane) AND behind = 1;
END;

-- A random number with every change of a job: tells whether a copy of it is current. Apart from the job's row, which
-- carries its whole document and would be written again each time.
CREATE TABLE job_versions (
    job_id  TEXT    PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- jobs.version is not used any more; SQLite cannot drop a table's last column when a comment follows it.
