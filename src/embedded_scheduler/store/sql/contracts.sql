-- name: contracts.add
INSERT INTO contracts (contract_id, node_id, side, state, state_seq, address, inst_id, institution, name, system,
                       system_version, description, auth_type, auth_credential, fingerprint, expires_ms, invitation,
                       origin, created_ms, since_ms)
VALUES (:contract_id, :node_id, :side, 'APPLIED', 0, :address, :inst_id, :institution, :name, :system,
        :system_version, :description, :auth_type, :auth_credential, :fingerprint, :expires_ms, :invitation,
        :origin, :now_ms, :now_ms);

-- name: contracts.set_state
UPDATE contracts SET state = :target, state_seq = :seq, since_ms = :now_ms, decided_by = :actor, reason = :reason
WHERE contract_id = :contract_id AND state = :source;

-- name: contracts.get
SELECT * FROM contracts WHERE contract_id = :contract_id;

-- name: contracts.of_node
SELECT * FROM contracts WHERE node_id = :node_id ORDER BY created_ms DESC, contract_id;

-- name: contracts.all
SELECT * FROM contracts ORDER BY node_id, created_ms DESC, contract_id;

-- name: contracts.open
SELECT * FROM contracts INDEXED BY contracts_open WHERE state = 'APPLIED' ORDER BY created_ms, contract_id;

-- name: contracts.note_partner
UPDATE contracts SET partner_decision = :decision, expires_ms = coalesce(:expires_ms, expires_ms)
WHERE contract_id = :contract_id AND state = 'APPLIED';

-- name: contracts.note_compared
UPDATE contracts SET compared_by = :actor WHERE contract_id = :contract_id AND state = 'APPLIED';

-- name: contracts.set_key
UPDATE contracts SET auth_type = :auth_type, auth_credential = :auth_credential, fingerprint = :fingerprint
WHERE contract_id = :contract_id AND fingerprint = '' AND state = 'APPLIED';

-- name: contracts.change_key
UPDATE contracts SET previous_type = auth_type, previous_credential = auth_credential, previous_until_ms = :until_ms,
    auth_type = :auth_type, auth_credential = :auth_credential, fingerprint = :fingerprint
WHERE contract_id = :contract_id AND state = 'APPROVED';

-- name: contracts.describe
UPDATE contracts SET address = :address, inst_id = :inst_id, institution = :institution, name = :name, system = :system,
    system_version = :system_version, description = :description
WHERE contract_id = :contract_id;

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
