"""Capacity kept free for what was promised."""

from __future__ import annotations

import numpy as np

from smash_gpu.panel.feasible import ROUNDING, Task


class Reserve:
    """Genes kept back so that the panel can be completed at any time.

    The genes chosen so far and the reserve are together exactly N, fit every cap and hold the promised markers. A gene
    from outside is admitted if one of the reserve can make way for it.
    """

    def __init__(self, members: np.ndarray, task: Task) -> None:
        self.members = members[np.argsort(-task.weight[members], kind="stable")]
        self.task = task
        self.room = task.room - task.load[:, members].sum(axis=1)
        self.surplus = task.markers[:, members].sum(axis=1) - (task.missing - task.lacks(members))

    def may_fit(self) -> np.ndarray:
        """Genes that are not too heavy, whichever gene makes way; a mask over all."""
        lightest = self.room + self.task.load[:, self.members].max(axis=1, initial=0.0)
        mask = (self.task.load <= lightest[:, None] + ROUNDING).all(axis=0)
        mask[self.members] = True
        return mask

    def admits(self, gene: int) -> bool:
        """Whether the panel can be completed after this gene."""
        return gene in self.members or self._making_way(gene) is not None

    def take(self, gene: int) -> None:
        """The gene joins the panel."""
        if gene not in self.members:
            leaving = self._making_way(gene)
            self.room = self.room + self.task.load[:, leaving] - self.task.load[:, gene]
            self.surplus = self.surplus + self.task.markers[:, gene] - self.task.markers[:, leaving].astype(int)
            gene = leaving
        self.members = self.members[self.members != gene]

    def _making_way(self, gene: int) -> int | None:
        """The heaviest member that is not needed once this gene is there and leaves it enough room."""
        load, markers = self.task.load, self.task.markers
        spared = ((self.surplus + markers[:, gene])[:, None] >= markers[:, self.members]).all(axis=0)
        fits = ((self.room - load[:, gene])[:, None] + load[:, self.members] >= -ROUNDING).all(axis=0)
        able = np.flatnonzero(spared & fits)
        return int(self.members[able[0]]) if len(able) else None
