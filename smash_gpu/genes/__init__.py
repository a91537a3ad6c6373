"""Gene names, families and filters."""
