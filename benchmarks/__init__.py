"""Measurements, run by hand: ``python -m benchmarks NAME [options]``; each prints and appends JSON lines."""
