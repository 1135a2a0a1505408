-- name: job_search.newest
-- Of the jobs from :floor up to :before, newest first. Reads the index alone.
SELECT position, searched
FROM jobs INDEXED BY jobs_listed
WHERE position < :before AND position >= :floor
  AND (:statuses = '[]'
       OR CASE WHEN job_id IN (SELECT job_id FROM approvals WHERE node_id = :self AND state = 'PENDING') THEN 'waiting'
               ELSE state || '/' || ifnull(outcome, '') END IN (SELECT value FROM json_each(:statuses)))
  AND (:mine IS NULL OR :mine = (initiator = :self))
  AND (:flow_id IS NULL OR flow_id = :flow_id)
  AND created_ms > :created_after AND created_ms < :created_before
  AND ((:took_more IS NULL AND :took_less IS NULL)
       OR (started_ms IS NOT NULL
           AND (:took_more IS NULL OR ifnull(ended_ms, :now_ms) - started_ms > :took_more)
           AND (:took_less IS NULL OR ifnull(ended_ms, :now_ms) - started_ms < :took_less)))
  AND (:likes = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(:likes) WHERE searched NOT LIKE value ESCAPE '\'))
  AND (:unlikes = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(:unlikes) WHERE searched LIKE value ESCAPE '\'))
  AND (:globs = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(:globs) WHERE searched NOT GLOB value))
  AND (:unglobs = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(:unglobs) WHERE searched GLOB value))
ORDER BY position DESC LIMIT :limit;

-- name: job_search.sorted
-- The same jobs by a column; those without a value come last. :key and :place = the last row of the page before.
WITH listed AS MATERIALIZED (
    SELECT position, CASE WHEN :judged THEN searched END AS searched,
           CASE :by
               WHEN 'id' THEN job_id
               WHEN 'flow' THEN lower(substr(ltrim(substr(searched, instr(searched, char(10)) + 1), char(10)), 1, 100))
               WHEN 'parties' THEN lower(substr(searched, instr(searched, char(10) || char(31)), 100))
               WHEN 'age' THEN -created_ms
               WHEN 'duration' THEN ifnull(ended_ms, :now_ms) - started_ms
               WHEN 'tasks' THEN CASE WHEN tasks_total > 0 THEN CAST(tasks_done AS REAL) / tasks_total END
               ELSE CASE
                   WHEN job_id IN (SELECT job_id FROM approvals WHERE node_id = :self AND state = 'PENDING') THEN 0
                   WHEN outcome = 'failed' THEN 1
                   WHEN state = 'RUNNING' THEN 2
                   WHEN state = 'READY' THEN 3
                   WHEN state = 'PENDING' THEN 4
                   WHEN outcome = 'stopped' THEN 5
                   WHEN state = 'REJECTED' THEN 6
                   ELSE 7
               END
           END AS k
    FROM jobs INDEXED BY jobs_listed
    WHERE position < :before AND position >= :floor
      AND (:statuses = '[]'
           OR CASE WHEN job_id IN (SELECT job_id FROM approvals WHERE node_id = :self AND state = 'PENDING') THEN 'waiting'
                   ELSE state || '/' || ifnull(outcome, '') END IN (SELECT value FROM json_each(:statuses)))
      AND (:mine IS NULL OR :mine = (initiator = :self))
      AND (:flow_id IS NULL OR flow_id = :flow_id)
      AND created_ms > :created_after AND created_ms < :created_before
      AND ((:took_more IS NULL AND :took_less IS NULL)
           OR (started_ms IS NOT NULL
               AND (:took_more IS NULL OR ifnull(ended_ms, :now_ms) - started_ms > :took_more)
               AND (:took_less IS NULL OR ifnull(ended_ms, :now_ms) - started_ms < :took_less)))
      AND (:likes = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(:likes) WHERE searched NOT LIKE value ESCAPE '\'))
      AND (:unlikes = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(:unlikes) WHERE searched LIKE value ESCAPE '\'))
      AND (:globs = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(:globs) WHERE searched NOT GLOB value))
      AND (:unglobs = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(:unglobs) WHERE searched GLOB value)))
SELECT position, searched, k FROM listed
WHERE :place IS NULL
   OR CASE
          WHEN :key IS NULL THEN k IS NULL AND position < :place
          ELSE k IS NULL OR (k = :key AND position < :place) OR (CASE WHEN :falling THEN k < :key ELSE k > :key END)
      END
ORDER BY k IS NULL, CASE WHEN :falling THEN k END DESC, CASE WHEN NOT :falling THEN k END ASC, position DESC
LIMIT :limit;

-- name: job_search.heads
SELECT j.*, EXISTS (SELECT 1 FROM approvals a WHERE a.job_id = j.job_id AND a.node_id = :self AND a.state = 'PENDING')
       AS needs_decision
FROM json_each(:places) p CROSS JOIN jobs j ON j.position = p.value
ORDER BY p.key;

-- name: job_search.last
SELECT max(position) AS position FROM jobs;
