-- name: invitations.add
INSERT INTO invitations (id, verifier, address, expires_ms, created_ms, created_by)
VALUES (:id, :verifier, :address, :expires_ms, :now_ms, :created_by);

-- name: invitations.get
SELECT * FROM invitations WHERE id = :id;

-- name: invitations.all
SELECT * FROM invitations INDEXED BY invitations_by_time WHERE created_ms >= :since_ms ORDER BY created_ms DESC, id;

-- name: invitations.use
-- The verifier stays until the code expires: the applicant may ask again after a lost answer.
UPDATE invitations SET contract_id = :contract_id, fingerprint = :fingerprint, ended = 'used'
WHERE id = :id AND ended = '' AND expires_ms > :now_ms;

-- name: invitations.note_wrong
UPDATE invitations SET wrong = wrong + 1, ended = CASE WHEN ended = '' AND wrong + 1 >= :most THEN 'wrong proofs' ELSE ended END,
    verifier = CASE WHEN ended = '' AND wrong + 1 >= :most THEN '' ELSE verifier END
WHERE id = :id;

-- name: invitations.revoke
UPDATE invitations SET ended = 'revoked', verifier = '' WHERE id = :id AND ended = '';

-- name: invitations.forget
UPDATE invitations SET verifier = '' WHERE expires_ms <= :now_ms AND verifier <> '';
