"""The embedded scheduler: engine, interop endpoints and storage of one privacy-computing node."""
