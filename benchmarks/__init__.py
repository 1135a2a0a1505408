"""Benchmarks: what the node costs over the floor of the machine, measured in the same minutes (docs/benchmarks.md)."""
