-- What one partner asked for before: read each time a request of it is looked at.
CREATE INDEX jobs_by_initiator ON jobs (initiator, position);
