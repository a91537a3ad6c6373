"""Annotated cells as arrays: `Dataset`, its sums, splits and stored stages."""
