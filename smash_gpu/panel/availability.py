"""What an order can hold: genes that are on the slide already, and genes that cannot be ordered."""

from __future__ import annotations

import numpy as np

from smash_gpu.errors import warn
from smash_gpu.genes.lists import IGNORE, GeneNames
from smash_gpu.panel.request import Request
from smash_gpu.runtime.words import join_names


def existing(request: Request, known: GeneNames) -> np.ndarray:
    """The genes of the existing panel that the data hold; the others are named in a warning."""
    absent = known.absent(request.extend, "extend")
    if absent:
        warn(
            f"extend: {len(absent):,} of {len(request.extend):,} genes are on the slide but not in the data; they "
            f"count for its size and separate no classes: {known.with_hints(absent)}.{known.why_absent(absent)}"
        )
    return np.sort(known.numbers(request.extend, "extend", missing="ignore"))


def rules(request: Request, known: GeneNames, must: np.ndarray, off_target: np.ndarray | None) -> dict[str, np.ndarray]:
    """The genes without probes and those with off-target probes, by the name of the rule.

    Parameters
    ----------
    must
        Mask of the genes that have to be in the panel.
    off_target
        Off-target sites of each gene, NaN where they are not known.

    Raises
    ------
    ValueError
        If one of them has to be in the panel.
    """
    hits = {"no probes available": known.mask(request.unavailable, "unavailable", missing=IGNORE)}
    if off_target is not None:
        hits[f"off-target > {request.max_off_target:g}"] = off_target > request.max_off_target  # not where it is NaN
    for rule, hit in hits.items():
        if (both := hit & must).any():
            raise ValueError(
                f"include or priorities ask for genes that a rule forbids ({rule}): {join_names(known.names[both])}. "
                "Remove them from one of the lists."
            )
    return {rule: hit for rule, hit in hits.items() if hit.any()}
