"""Metrics for gene lists from other tools, as those tools define them."""
