-- What was decided about the results of a job on this node: kept for good, or removed.
CREATE TABLE job_results (
    job_id     TEXT    PRIMARY KEY REFERENCES jobs (job_id),
    kept_ms    INTEGER,                    -- null: they go when they are old enough
    kept_by    TEXT    NOT NULL DEFAULT '',
    removed_ms INTEGER,                    -- null: nobody removed them
    removed_by TEXT    NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
