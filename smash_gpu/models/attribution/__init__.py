"""Explains the decisions of a model: one score per group and gene."""
