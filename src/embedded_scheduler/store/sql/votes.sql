-- name: votes.add
INSERT INTO votes (subject, subject_id, actor, at_ms, reason) VALUES (:subject, :subject_id, :actor, :now_ms, :reason)
ON CONFLICT (subject, subject_id, actor) DO NOTHING;

-- name: votes.of
SELECT actor, at_ms, reason FROM votes WHERE subject = :subject AND subject_id = :subject_id ORDER BY at_ms, actor;
