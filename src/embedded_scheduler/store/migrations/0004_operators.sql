-- People and programs that act on this node.

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
