-- What partners asked for and were granted, and what was granted to this node (management layer §2–§7).

-- One request. `direction` in = a partner asked this node, out = this node asked a partner.
CREATE TABLE grants (
    grant_id    TEXT    PRIMARY KEY,              -- derived from the next four columns
    direction   TEXT    NOT NULL,
    node_id     TEXT    NOT NULL,                 -- the partner
    kind        TEXT    NOT NULL,                 -- dataset, project, flow, job, model
    audit_id    TEXT    NOT NULL,                 -- the applicant's name for the request
    resource_id TEXT    NOT NULL,
    contract_id TEXT    NOT NULL,
    name        TEXT    NOT NULL DEFAULT '',
    body        TEXT    NOT NULL,                 -- the request as sent (JSON)
    digest      TEXT    NOT NULL,                 -- SHA-256 of its canonical form: tells a repetition from a conflict
    state       TEXT    NOT NULL,
    state_seq   INTEGER NOT NULL,
    decided_by  TEXT    NOT NULL DEFAULT '',
    reason      TEXT    NOT NULL DEFAULT '',
    trace_id    TEXT    NOT NULL DEFAULT '',
    created_ms  INTEGER NOT NULL,
    since_ms    INTEGER NOT NULL,
    UNIQUE (direction, node_id, kind, audit_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_time ON grants (created_ms, grant_id);
CREATE INDEX grants_by_state ON grants (direction, state, created_ms);
CREATE INDEX grants_by_resource ON grants (kind, resource_id);
CREATE INDEX grants_by_node ON grants (node_id, kind, state);

CREATE TRIGGER grants_start BEFORE INSERT ON grants WHEN NEW.state <> 'APPLIED'
BEGIN SELECT RAISE(ABORT, 'a grant starts APPLIED'); END;
CREATE TRIGGER grants_guard BEFORE UPDATE OF state, state_seq ON grants
WHEN NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = NEW.state_seq AND e.seq > OLD.state_seq AND e.subject = 'grant'
    AND e.subject_id = OLD.grant_id AND e.source = OLD.state AND e.target = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a grant changes state only through its event'); END;

-- What an approved request gives. Of a permit that this node issued only the token's hash is kept.
CREATE TABLE permits (
    grant_id         TEXT    PRIMARY KEY REFERENCES grants (grant_id),
    issued           INTEGER NOT NULL,            -- 1 = by this node, 0 = to this node
    token_hash       TEXT    NOT NULL,            -- SHA-256, hex
    token            TEXT    NOT NULL DEFAULT '', -- of a permit that this node holds
    level            INTEGER NOT NULL,
    resource_type    TEXT    NOT NULL,
    resource_id      TEXT    NOT NULL,
    resource_node_id TEXT    NOT NULL,
    resource_inst_id TEXT    NOT NULL,
    request_node_id  TEXT    NOT NULL,            -- whom it was given to
    request_inst_id  TEXT    NOT NULL,
    time_limit_ms    INTEGER,                     -- NULL = as long as the grant
    times_limit      INTEGER,                     -- NULL = any number of jobs
    used             INTEGER NOT NULL DEFAULT 0,
    created_ms       INTEGER NOT NULL,
    CHECK (issued = 0 OR token = '')
) STRICT, WITHOUT ROWID;
CREATE INDEX permits_by_token ON permits (token_hash);
CREATE INDEX permits_by_resource ON permits (resource_node_id, resource_id);

-- Which jobs used a permit of ours, each counted once.
CREATE TABLE permit_uses (
    grant_id TEXT    NOT NULL REFERENCES permits (grant_id),
    job_id   TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (grant_id, job_id)
) STRICT, WITHOUT ROWID;

-- Permits that an initiator gave along with a job which this node drives, for the participants that issued them.
CREATE TABLE job_permits (
    job_id   TEXT NOT NULL,
    resource TEXT NOT NULL,
    level    TEXT NOT NULL,
    token    TEXT NOT NULL,
    PRIMARY KEY (job_id, resource, token)
) STRICT, WITHOUT ROWID;

-- Which of our datasets partners may see, and what of them.
CREATE TABLE publications (
    namespace    TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    access       TEXT    NOT NULL,                -- permit: a job needs one; approval: the operator decides per job
    audience     TEXT    NOT NULL DEFAULT '[]',   -- node ids; empty = every partner with a contract
    columns      TEXT    NOT NULL DEFAULT '[]',   -- names of those shown; empty = all
    description  TEXT    NOT NULL DEFAULT '',
    category     TEXT    NOT NULL DEFAULT '',
    shown        INTEGER NOT NULL DEFAULT 1,      -- 0 = no longer published; what a job needs to use it stays as it was
    published_by TEXT    NOT NULL,
    published_ms INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

-- What partners told of messages they got: opened = a person looked at it.
CREATE TABLE receipts (
    node_id TEXT    NOT NULL,
    key     TEXT    NOT NULL,                     -- of the message
    state   TEXT    NOT NULL,
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (node_id, key, state)
) STRICT, WITHOUT ROWID;
