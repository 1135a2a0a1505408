-- What a list of jobs is filtered and sorted by, in one index: no job's document is read for it.
-- `searched`: a line each of id, flow and components, then a line of the nodes, each between unit separators (31).
ALTER TABLE jobs ADD COLUMN searched TEXT NOT NULL DEFAULT '';
UPDATE jobs SET searched = job_id || char(10) || flow_id || char(10)
    || (SELECT ifnull(group_concat(c.value, char(10)), '') FROM json_each(jobs.summary, '$.components') c)
    || char(10) || char(31)
    || (SELECT ifnull(group_concat(substr(p.value, instr(p.value, ':') + 1), char(31)), '')
        FROM json_each(jobs.summary, '$.parties') p) || char(31);
CREATE INDEX jobs_listed ON jobs (position, job_id, flow_id, state, outcome, initiator, tasks_done, tasks_total,
                                  created_ms, started_ms, ended_ms, searched);
