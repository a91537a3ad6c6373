"""SMaSH's four steps: filters, inverse PCA, importance, ranking."""
