-- Which runner runs a component, if its registration says so; empty = the node's rules decide.
ALTER TABLE components ADD COLUMN runner TEXT NOT NULL DEFAULT '';
