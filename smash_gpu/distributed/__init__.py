"""Computing on a Dask cluster."""
