-- Trust: contracts with partners, what was granted on them, who may act here, and what is decided without being asked.

-- partners and their contracts ----------------------------------------------------------------------------------------

ALTER TABLE peers ADD COLUMN signing TEXT NOT NULL DEFAULT 'off';   -- required, verify-if-present, off
ALTER TABLE peers ADD COLUMN tls TEXT NOT NULL DEFAULT 'identity';  -- identity, ca, or the SHA-256 of a key: what its TLS server must show

-- One agreement with one partner (management layer §1). Its state changes only together with its event.
CREATE TABLE contracts (
    contract_id    TEXT    PRIMARY KEY,
    node_id        TEXT    NOT NULL,              -- the partner
    side           TEXT    NOT NULL,              -- applicant: we asked; callee: it asked; manual: entered by hand on both sides
    state          TEXT    NOT NULL,
    state_seq      INTEGER NOT NULL,
    address        TEXT    NOT NULL DEFAULT '',
    inst_id        TEXT    NOT NULL DEFAULT '',
    institution    TEXT    NOT NULL DEFAULT '',
    name           TEXT    NOT NULL DEFAULT '',
    system         TEXT    NOT NULL DEFAULT '',
    system_version TEXT    NOT NULL DEFAULT '',
    description    TEXT    NOT NULL DEFAULT '',
    auth_type      TEXT    NOT NULL DEFAULT '',   -- ED25519, SHA256_RSA, SHA256_ECDSA, CERT
    auth_credential TEXT   NOT NULL DEFAULT '',   -- the partner's public key or certificate (PEM)
    fingerprint    TEXT    NOT NULL DEFAULT '',   -- SHA-256 of that key (SubjectPublicKeyInfo), hex
    previous_type  TEXT    NOT NULL DEFAULT '',   -- the key before a rotation …
    previous_credential TEXT NOT NULL DEFAULT '',
    previous_until_ms INTEGER,                    -- … and how long it still counts
    expires_ms     INTEGER,                       -- of the contract; NULL = never
    invitation     TEXT    NOT NULL DEFAULT '',   -- id of the invitation it came by
    origin         TEXT    NOT NULL DEFAULT '',   -- network address that a stranger's application came from
    partner_decision TEXT  NOT NULL DEFAULT '',   -- what the partner confirmed: APPROVED, REJECTED
    compared_by    TEXT    NOT NULL DEFAULT '',   -- who compared the words here
    decided_by     TEXT    NOT NULL DEFAULT '',
    reason         TEXT    NOT NULL DEFAULT '',
    created_ms     INTEGER NOT NULL,
    since_ms       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX contracts_by_node ON contracts (node_id, created_ms);
CREATE INDEX contracts_open ON contracts (created_ms) WHERE state = 'APPLIED';
CREATE INDEX contracts_of_strangers ON contracts (created_ms) WHERE side = 'callee' AND invitation = '';

CREATE TRIGGER contracts_start BEFORE INSERT ON contracts WHEN NEW.state <> 'APPLIED'
BEGIN SELECT RAISE(ABORT, 'a contract starts APPLIED'); END;
CREATE TRIGGER contracts_guard BEFORE UPDATE OF state, state_seq ON contracts
WHEN NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = NEW.state_seq AND e.seq > OLD.state_seq AND e.subject = 'contract'
    AND e.subject_id = OLD.contract_id AND e.source = OLD.state AND e.target = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a contract changes state only through its event'); END;

-- Codes that this node gave out. Of a code's secret only a key derived from it is kept.
CREATE TABLE invitations (
    id          TEXT    PRIMARY KEY,              -- 16 hex digits, part of the code
    verifier    TEXT    NOT NULL,                 -- HMAC key derived from the secret (hex); emptied when the invitation ends
    address     TEXT    NOT NULL,                 -- of this node, as the code says it
    expires_ms  INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    contract_id TEXT    NOT NULL DEFAULT '',      -- the application it was used for
    fingerprint TEXT    NOT NULL DEFAULT '',      -- the applicant's key
    wrong       INTEGER NOT NULL DEFAULT 0,       -- proofs that were not right
    ended       TEXT    NOT NULL DEFAULT ''       -- why it cannot be used (any more): used, revoked, wrong proofs
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_by_time ON invitations (created_ms);
CREATE INDEX invitations_live ON invitations (expires_ms) WHERE verifier <> '';

-- Messages to partners that belong to no job.
CREATE INDEX outbox_messages ON outbox (id) WHERE job_id = '' AND state = 'waiting';

-- requests of the management layer (§2–§7), in both directions --------------------------------------------------------

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

-- people and programs that act on this node ---------------------------------------------------------------------------

-- Who approved what so far, where more than one person has to; one refusal needs no vote.
CREATE TABLE votes (
    subject    TEXT    NOT NULL,              -- job, contract, grant
    subject_id TEXT    NOT NULL,
    actor      TEXT    NOT NULL,              -- operator:<user>
    at_ms      INTEGER NOT NULL,
    reason     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (subject, subject_id, actor)
) STRICT, WITHOUT ROWID;

-- Credentials of the own platform's programs. The tokens themselves are nowhere: only their hashes.
CREATE TABLE tokens (
    token_id     TEXT    PRIMARY KEY,         -- public part of the token, by which it is looked up
    name         TEXT    NOT NULL,            -- the ledger says platform:<name>
    scopes       TEXT    NOT NULL,            -- separated by spaces
    hash         TEXT    NOT NULL,            -- SHA-256 (hex) of the whole token
    created_ms   INTEGER NOT NULL,
    created_by   TEXT    NOT NULL,
    expires_ms   INTEGER,                     -- NULL = never
    revoked_ms   INTEGER,                     -- NULL = not revoked
    last_used_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_ms IS NULL;

-- policies ------------------------------------------------------------------------------------------------------------

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

-- secrets -------------------------------------------------------------------------------------------------------------

-- What connectors need to open a source, sealed with a key that is not in this file.
CREATE TABLE secrets (
    name       TEXT    PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    key_id     TEXT    NOT NULL,  -- which data key sealed it
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
