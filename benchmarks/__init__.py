"""Benchmarks, run by hand: ``python -m benchmarks NAME [options]``. Each prints and appends JSON lines."""
