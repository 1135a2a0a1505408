"""`nodeconsole demo`: real nodes on this machine, a real private set intersection, and the check of its result."""
