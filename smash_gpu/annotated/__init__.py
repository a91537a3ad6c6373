"""From AnnData to arrays, and results back into its slots."""
