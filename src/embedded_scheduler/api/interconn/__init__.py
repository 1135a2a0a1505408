"""Endpoints for partner nodes."""
