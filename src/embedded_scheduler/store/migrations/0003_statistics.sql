-- What the console counts: jobs by the time they ended and by the time they came. The first index holds all that is
-- counted, so that no job's document is read for it.
CREATE INDEX jobs_ended ON jobs (ended_ms, state, outcome, started_ms, flow_id, summary) WHERE ended_ms IS NOT NULL;
CREATE INDEX jobs_created ON jobs (created_ms);
