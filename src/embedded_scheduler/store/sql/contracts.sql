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

-- name: contracts.strangers_since
SELECT count(*) AS number FROM contracts INDEXED BY contracts_of_strangers
WHERE side = 'callee' AND invitation = '' AND created_ms > :since_ms;

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
