-- name: sentences.keep
INSERT INTO sentences (text, said) VALUES (:text, :said) ON CONFLICT (text) DO NOTHING;

-- name: sentences.find
SELECT said FROM sentences WHERE text = :text;
