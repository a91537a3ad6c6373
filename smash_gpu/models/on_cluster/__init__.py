"""Models that learn on the workers of a Dask cluster."""
