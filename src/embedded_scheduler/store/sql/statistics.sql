-- Everything here reads one window of the index jobs_ended, never a job's row.

-- name: statistics.ended
SELECT (ended_ms - :since_ms) / :step_ms AS bucket, state, coalesce(outcome, '') AS outcome, count(*) AS number
FROM jobs INDEXED BY jobs_ended WHERE ended_ms >= :since_ms AND ended_ms < :until_ms
GROUP BY bucket, state, outcome;

-- name: statistics.created
SELECT (created_ms - :since_ms) / :step_ms AS bucket, count(*) AS number
FROM jobs INDEXED BY jobs_created WHERE created_ms >= :since_ms AND created_ms < :until_ms GROUP BY bucket;

-- name: statistics.took
-- How long jobs ran, per bucket: the median and the 95th percentile, nearest rank.
SELECT bucket, max(total) AS number,
       max(CASE WHEN place = (total + 1) / 2 THEN took END) AS p50,
       max(CASE WHEN place = (total * 95 + 99) / 100 THEN took END) AS p95
FROM (SELECT (ended_ms - :since_ms) / :step_ms AS bucket, ended_ms - started_ms AS took,
             row_number() OVER (PARTITION BY (ended_ms - :since_ms) / :step_ms ORDER BY ended_ms - started_ms) AS place,
             count(*) OVER (PARTITION BY (ended_ms - :since_ms) / :step_ms) AS total
      FROM jobs INDEXED BY jobs_ended
      WHERE ended_ms >= :since_ms AND ended_ms < :until_ms AND started_ms IS NOT NULL)
GROUP BY bucket;

-- name: statistics.took_by_flow
SELECT flow_id, max(CASE WHEN place = (total + 1) / 2 THEN took END) AS p50,
       max(CASE WHEN place = (total * 95 + 99) / 100 THEN took END) AS p95
FROM (SELECT flow_id, ended_ms - started_ms AS took,
             row_number() OVER (PARTITION BY flow_id ORDER BY ended_ms - started_ms) AS place,
             count(*) OVER (PARTITION BY flow_id) AS total
      FROM jobs INDEXED BY jobs_ended
      WHERE ended_ms >= :since_ms AND ended_ms < :until_ms AND started_ms IS NOT NULL)
GROUP BY flow_id;

-- name: statistics.by_flow
SELECT flow_id AS name, count(*) AS total, sum(outcome IS 'succeeded') AS succeeded, sum(outcome IS 'failed') AS failed,
       max(ended_ms) AS last_ms
FROM jobs INDEXED BY jobs_ended WHERE ended_ms >= :since_ms AND ended_ms < :until_ms
GROUP BY flow_id ORDER BY total DESC, name LIMIT :limit;

-- name: statistics.by_partner
-- A party is written `role:node`; a partner in several roles of one job counts once.
SELECT name, count(*) AS total, sum(outcome IS 'succeeded') AS succeeded, sum(outcome IS 'failed') AS failed,
       max(ended_ms) AS last_ms
FROM (SELECT DISTINCT j.job_id, substr(party.value, instr(party.value, ':') + 1) AS name, j.outcome, j.ended_ms
      FROM jobs AS j INDEXED BY jobs_ended, json_each(j.summary, '$.parties') AS party
      WHERE j.ended_ms >= :since_ms AND j.ended_ms < :until_ms)
WHERE name <> :self GROUP BY name ORDER BY total DESC, name LIMIT :limit;

-- name: statistics.failed
-- The newest failures: what a person may have to look at.
SELECT job_id, flow_id, reason, ended_ms FROM jobs INDEXED BY jobs_ended
WHERE ended_ms >= :since_ms AND outcome = 'failed' ORDER BY ended_ms DESC LIMIT :limit;

-- name: statistics.lately
-- The flows of the newest jobs, the latest first.
SELECT flow_id FROM (SELECT flow_id, position FROM jobs ORDER BY position DESC LIMIT :among)
GROUP BY flow_id ORDER BY max(position) DESC LIMIT :limit;

-- name: statistics.runs
SELECT job_id, state, outcome FROM jobs INDEXED BY jobs_by_flow
WHERE flow_id = :flow_id ORDER BY position DESC LIMIT :limit;
