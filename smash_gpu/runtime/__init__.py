"""The machine: memory, files that are written whole, clusters, progress, versions."""
