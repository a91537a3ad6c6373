"""Genes whose probes may fail, each with its own probability and independently of the others.

With ``F(S) = Σ_ab w_ab (1 − Π_{g ∈ S} exp(−s_g(a, b) / τ))``, a gene that fails with the probability q has the factor 1
instead of ``exp(−s / τ)``. Genes fail independently, so that the mean of the product is the product of the means::

    E F(S) = Σ_ab w_ab (1 − Π_{g ∈ S} (q_g + (1 − q_g) exp(−s_g(a, b) / τ)))

This is F with ``s̃ = −τ log(q + (1 − q) exp(−s / τ))`` instead of s. It is 0 or more, so that F stays monotone and
submodular, and at most ``−τ log q``: no single gene is relied on.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from smash_gpu.compute.xp import namespace
from smash_gpu.genes.values import PerGene, per_gene


def softened(s: Any, rate: Any, tau: float) -> Any:
    """``s̃ = −τ log(q + (1 − q) exp(−s / τ))``.

    Parameters
    ----------
    s
        Separations; pairs × genes.
    rate
        ``q`` of every gene; 1 × genes.
    """
    xp = namespace(s)
    with np.errstate(divide="ignore"):  # log 0 = −∞ of genes that never fail
        return -tau * xp.logaddexp(xp.log(rate), xp.log1p(-rate) - s / tau)


def rate_of(given: Any) -> float | str | PerGene:
    """What a user gave as ``failure_rate``: a number for all genes, the name of a column, or a number per gene.

    Raises
    ------
    TypeError, ValueError
        If it is anything else, or not a probability below 1.
    """
    if isinstance(given, Real) and not isinstance(given, bool):
        rate = float(given)
        if not 0 <= rate < 1:
            raise ValueError(f"failure_rate={given} is no probability below 1; give a number from 0 to below 1.")
        return rate
    try:
        return per_gene(given, "failure_rate")
    except TypeError:
        raise TypeError(
            f"failure_rate={given!r} is none of: a number from 0 to below 1, a column of adata.var, a mapping, a "
            "table, a pathlib.Path to one."
        ) from None
