"""Endpoints for the own platform and the node's own components."""
