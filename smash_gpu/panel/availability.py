"""What an order can hold: genes that are on the slide already, and genes that cannot be ordered."""

from __future__ import annotations

import numpy as np

from smash_gpu.errors import warn
from smash_gpu.genes.lists import GeneNames
from smash_gpu.panel.request import Request


def existing(request: Request, known: GeneNames) -> np.ndarray:
    """The genes of the existing panel that the data hold; the others are named in a warning."""
    absent = known.absent(request.extend, "extend")
    if absent:
        warn(
            f"extend: {len(absent):,} of {len(request.extend):,} genes are on the slide but not in the data; they are "
            f"kept in the table slide and separate no classes: {', '.join(absent)}.{known.why_absent(absent)}"
        )
    return np.sort(known.numbers(request.extend, "extend", missing="ignore"))
