-- What the operator wants decided without being asked. Every version is kept; the newest is in force.
CREATE TABLE policies (
    version INTEGER PRIMARY KEY,
    text    TEXT    NOT NULL,              -- as set
    digest  TEXT    NOT NULL,              -- SHA-256 (hex) of the text
    set_by  TEXT    NOT NULL,
    at_ms   INTEGER NOT NULL
) STRICT;

-- What a policy said of one request, and why: the same request again gets the same answer, and a quota counts it once.
CREATE TABLE rulings (
    kind       TEXT    NOT NULL,           -- job, dataset, project, flow, model, contract
    subject_id TEXT    NOT NULL,
    digest     TEXT    NOT NULL,           -- of the request's content
    version    INTEGER NOT NULL REFERENCES policies (version),
    action     TEXT    NOT NULL,           -- approve, refuse, ask
    rule       TEXT    NOT NULL DEFAULT '',  -- empty: no rule applied
    reason     TEXT    NOT NULL DEFAULT '',  -- what the partner is told
    reasoning  TEXT    NOT NULL,           -- JSON list of sentences, for the operator
    binding    INTEGER NOT NULL,           -- 0: the partner's own setting decides
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (kind, subject_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX rulings_counted ON rulings (rule, at_ms) WHERE action = 'approve';
