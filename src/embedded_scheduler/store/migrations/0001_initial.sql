-- One node's state. A state column changes only together with the event that justifies it (see the guards below).

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    subject    TEXT    NOT NULL,           -- job, task, share, approval, dataset, component, peer, node …
    subject_id TEXT    NOT NULL,
    job_id     TEXT    NOT NULL DEFAULT '',
    event      TEXT    NOT NULL,
    source     TEXT,                       -- both NULL: something was recorded, no state changed
    target     TEXT,
    actor      TEXT    NOT NULL,           -- operator:<who>, peer:<node id>, platform, component, node
    reason     TEXT    NOT NULL DEFAULT '',
    trace_id   TEXT    NOT NULL DEFAULT '',
    data       TEXT    NOT NULL DEFAULT '{}',
    prev_hash  TEXT    NOT NULL,
    hash       TEXT    NOT NULL
) STRICT;
CREATE INDEX events_by_job ON events (job_id, seq) WHERE job_id <> '';

CREATE TRIGGER events_append_only_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER events_append_only_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- INSERT OR REPLACE deletes the row it replaces without firing the trigger above.
CREATE TRIGGER events_append_only_replace BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE jobs (
    job_id         TEXT    PRIMARY KEY,
    position       INTEGER NOT NULL UNIQUE,   -- order of arrival on this node: the list's key
    flow_id        TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    state_seq      INTEGER NOT NULL,
    outcome        TEXT,
    reason         TEXT    NOT NULL DEFAULT '',
    coordinator    TEXT    NOT NULL,
    initiator      TEXT    NOT NULL,
    digest         TEXT    NOT NULL,
    document       TEXT    NOT NULL,          -- canonical {flow_id, dag, config}
    as_sent        BLOB,                      -- the creating request's body, byte for byte
    trace_id       TEXT    NOT NULL DEFAULT '',
    stop_reason    TEXT    NOT NULL DEFAULT '',
    verdict_state   TEXT,                     -- what the coordinator last said
    verdict_outcome TEXT,
    verdict_reason  TEXT   NOT NULL DEFAULT '',
    verdict_final   INTEGER NOT NULL DEFAULT 0,
    tasks_total    INTEGER NOT NULL,
    tasks_done     INTEGER NOT NULL DEFAULT 0,
    created_ms     INTEGER NOT NULL,
    since_ms       INTEGER NOT NULL,          -- of the present state
    started_ms     INTEGER,
    ended_ms       INTEGER,
    summary        TEXT    NOT NULL           -- JSON {parties, components}: what the list shows
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, position);
CREATE INDEX jobs_by_flow ON jobs (flow_id, position);

-- A random number with every change of a job: tells whether a copy of it is current. Apart from the job's row, which
-- carries its whole document and would be written again each time.
CREATE TABLE job_versions (
    job_id  TEXT    PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
    job_id     TEXT    NOT NULL REFERENCES jobs (job_id),
    name       TEXT    NOT NULL,
    task_id    TEXT    NOT NULL DEFAULT '',
    state      TEXT    NOT NULL,
    state_seq  INTEGER NOT NULL,
    cancelled  INTEGER NOT NULL DEFAULT 0,
    since_ms   INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms   INTEGER,
    PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tasks_by_id ON tasks (task_id) WHERE task_id <> '';

CREATE TABLE shares (
    job_id      TEXT    NOT NULL,
    task_name   TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    idx         INTEGER NOT NULL,
    node_id     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    state_seq   INTEGER NOT NULL,
    outcome     TEXT,
    reason      TEXT    NOT NULL DEFAULT '',
    since_ms    INTEGER NOT NULL,
    PRIMARY KEY (job_id, task_name, role, idx),
    FOREIGN KEY (job_id, task_name) REFERENCES tasks (job_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    job_id     TEXT    NOT NULL REFERENCES jobs (job_id),
    node_id    TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    state_seq  INTEGER NOT NULL,
    reason     TEXT    NOT NULL DEFAULT '',
    decided_by TEXT    NOT NULL DEFAULT '',
    since_ms   INTEGER NOT NULL,
    PRIMARY KEY (job_id, node_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_waiting ON approvals (node_id, state);

-- One run of a share on this node. The handle is stored before the launch, so a restart finds what runs.
CREATE TABLE attempts (
    attempt_id  TEXT    PRIMARY KEY,
    job_id      TEXT    NOT NULL,
    task_name   TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    idx         INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    runner      TEXT    NOT NULL DEFAULT '',
    handle      TEXT    NOT NULL DEFAULT '{}',
    session_id  TEXT    NOT NULL,
    token_hash  TEXT    NOT NULL,             -- SHA-256 of the attempt's channel and callback token
    log_path    TEXT    NOT NULL DEFAULT '',
    callback    TEXT    NOT NULL DEFAULT '',  -- last status the component reported itself
    created_ms  INTEGER NOT NULL,
    launched_ms INTEGER,
    ended_ms    INTEGER,
    exit_code   INTEGER,
    exit_signal INTEGER,
    exit_error  TEXT    NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_share ON attempts (job_id, task_name, role, idx);
CREATE INDEX attempts_running ON attempts (attempt_id) WHERE ended_ms IS NULL;
CREATE INDEX attempts_by_session ON attempts (session_id);

-- Effects to carry out: written with the decision, delivered afterwards, kept until retention removes them.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    job_id     TEXT    NOT NULL,
    lane       TEXT    NOT NULL,              -- rows of one lane are delivered in order, one at a time
    kind       TEXT    NOT NULL,              -- call, launch, terminate
    target     TEXT    NOT NULL,              -- node id, or attempt id
    operation  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    nonce      TEXT    NOT NULL,              -- the same for every try of this row
    trace_id   TEXT    NOT NULL DEFAULT '',
    state      TEXT    NOT NULL,              -- waiting, acknowledged, refused, abandoned
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT    NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL,
    next_ms    INTEGER NOT NULL,
    done_ms    INTEGER,
    behind     INTEGER NOT NULL DEFAULT 0,    -- waiting behind an earlier row of its lane
    UNIQUE (job_id, key)
) STRICT;
-- Only the first waiting row of a lane can be delivered: looking for work costs the same with ten thousand in line as with ten.
CREATE INDEX outbox_due ON outbox (next_ms, id) WHERE state = 'waiting' AND behind = 0;
CREATE INDEX outbox_calls ON outbox (target, next_ms, id) WHERE state = 'waiting' AND behind = 0 AND kind = 'call';
CREATE INDEX outbox_launches ON outbox (next_ms, id) WHERE state = 'waiting' AND behind = 0 AND kind = 'launch';
CREATE INDEX outbox_ends ON outbox (id) WHERE state = 'waiting' AND kind = 'terminate';
CREATE INDEX outbox_by_lane ON outbox (lane, id) WHERE state = 'waiting';
CREATE INDEX outbox_done ON outbox (done_ms) WHERE state <> 'waiting';

CREATE TRIGGER outbox_next AFTER UPDATE OF state ON outbox WHEN OLD.state = 'waiting' AND NEW.state <> 'waiting'
BEGIN
    UPDATE outbox SET behind = 0
    WHERE id = (SELECT min(id) FROM outbox WHERE state = 'waiting' AND lane = NEW.lane) AND behind = 1;
END;

-- Answers already given, for requests that come again.
CREATE TABLE inbox (
    source      TEXT    NOT NULL,
    nonce       TEXT    NOT NULL,
    operation   TEXT    NOT NULL,
    body_hash   TEXT    NOT NULL,
    answer      TEXT    NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (source, nonce, operation)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_by_time ON inbox (received_ms);

-- Jobs that were stopped before their create arrived: a late create must not bring them to life.
CREATE TABLE tombstones (
    job_id    TEXT    NOT NULL,
    source    TEXT    NOT NULL,
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (job_id, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_time ON tombstones (at_ms);

CREATE TABLE components (
    provider      TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    code          TEXT    NOT NULL,
    image_url     TEXT    NOT NULL,
    manifest      TEXT    NOT NULL,           -- the self-description as sent
    registered_ms INTEGER NOT NULL,
    registered_by TEXT    NOT NULL,
    PRIMARY KEY (provider, name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX components_by_code ON components (code, version);

CREATE TABLE datasets (
    namespace     TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    connector     TEXT    NOT NULL,
    options       TEXT    NOT NULL,
    description   TEXT    NOT NULL DEFAULT '',
    columns       TEXT    NOT NULL,
    rows          INTEGER NOT NULL,
    size_bytes    INTEGER NOT NULL,
    fingerprint   TEXT    NOT NULL,
    registered_ms INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE peers (
    node_id       TEXT    PRIMARY KEY,
    url           TEXT    NOT NULL,
    profile       TEXT    NOT NULL,
    approval      TEXT    NOT NULL,           -- auto, manual: what happens to a job this partner creates here
    options       TEXT    NOT NULL DEFAULT '{}',
    registered_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The guards: no state but the initial one on insert, no change without its event in the same transaction.
CREATE TRIGGER jobs_start BEFORE INSERT ON jobs WHEN NEW.state <> 'PENDING'
BEGIN SELECT RAISE(ABORT, 'a job starts PENDING'); END;
CREATE TRIGGER tasks_start BEFORE INSERT ON tasks WHEN NEW.state <> 'PENDING'
BEGIN SELECT RAISE(ABORT, 'a task starts PENDING'); END;
CREATE TRIGGER shares_start BEFORE INSERT ON shares WHEN NEW.state <> 'PENDING'
BEGIN SELECT RAISE(ABORT, 'a share starts PENDING'); END;
CREATE TRIGGER approvals_start BEFORE INSERT ON approvals WHEN NEW.state <> 'PENDING'
BEGIN SELECT RAISE(ABORT, 'an approval starts PENDING'); END;

CREATE TRIGGER jobs_guard BEFORE UPDATE OF state, state_seq ON jobs
WHEN NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = NEW.state_seq AND e.seq > OLD.state_seq AND e.subject = 'job'
    AND e.subject_id = OLD.job_id AND e.source = OLD.state AND e.target = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a job changes state only through its event'); END;
CREATE TRIGGER tasks_guard BEFORE UPDATE OF state, state_seq ON tasks
WHEN NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = NEW.state_seq AND e.seq > OLD.state_seq AND e.subject = 'task'
    AND e.subject_id = OLD.job_id || '/' || OLD.name AND e.source = OLD.state AND e.target = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a task changes state only through its event'); END;
CREATE TRIGGER shares_guard BEFORE UPDATE OF state, state_seq ON shares
WHEN NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = NEW.state_seq AND e.seq > OLD.state_seq AND e.subject = 'share'
    AND e.subject_id = OLD.job_id || '/' || OLD.task_name || '/' || OLD.role || '.' || OLD.idx
    AND e.source = OLD.state AND e.target = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a share changes state only through its event'); END;
CREATE TRIGGER approvals_guard BEFORE UPDATE OF state, state_seq ON approvals
WHEN NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = NEW.state_seq AND e.seq > OLD.state_seq AND e.subject = 'approval'
    AND e.subject_id = OLD.job_id || '/' || OLD.node_id AND e.source = OLD.state AND e.target = NEW.state)
BEGIN SELECT RAISE(ABORT, 'an approval changes state only through its event'); END;
