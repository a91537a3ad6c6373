"""Other tools' metrics for gene lists, by their own definitions."""
