"""Reaching a node of another machine through the system's `ssh`. Standard library only: the bridge starts fast."""
