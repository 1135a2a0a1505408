-- Whom this node trusts, with which key, and how each partner's requests are checked.

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

-- Messages to partners that belong to no job.
CREATE INDEX outbox_messages ON outbox (id) WHERE job_id = '' AND state = 'waiting';
