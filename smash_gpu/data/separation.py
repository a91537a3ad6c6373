"""How far a gene separates two classes, from their means and variances."""

from __future__ import annotations

from typing import Any

EPSILON = 0.05  # added to the variance of a pair, so that a gene seen in a single cell separates nothing


def separation(difference: Any, spread: Any) -> Any:
    """``s = (m_a − m_b)² / (v_a + v_b + ε)`` from ``m_a − m_b`` and ``v_a + v_b``, which is overwritten."""
    spread += spread.dtype.type(EPSILON)
    s = difference * difference
    s /= spread
    return s
