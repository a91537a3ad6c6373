"""Keeps room free for the rest of the panel and the requested markers."""

from __future__ import annotations

import numpy as np

from smash_gpu.panel.feasible import ROUNDING, Task


class Reserve:
    """Reserved genes with which the panel can be completed at any time.

    The genes chosen so far and the reserve are together exactly N genes, fit every cap and hold the requested markers.
    Another gene is admitted if it can replace one of the reserve.
    """

    def __init__(self, members: np.ndarray, task: Task) -> None:
        self.members = members[np.argsort(-task.weight[members], kind="stable")]
        self.task = task
        self.room = task.room - task.load[:, members].sum(axis=1)
        self.surplus = task.markers[:, members].sum(axis=1) - (task.missing - task.lacks(members))
        self.needy = np.flatnonzero(task.missing > 0)  # no gene of the reserve is spared for other classes
        self.weight, self.heaviest = task.weight, task.load.max(axis=1, initial=0.0)

    def may_fit(self) -> np.ndarray:
        """Mask over all genes: those that are light enough if the heaviest reserved gene is given up."""
        lightest = self.room + self.task.load[:, self.members].max(axis=1, initial=0.0) + ROUNDING
        heavy = np.flatnonzero(self.weight > lightest.min(initial=np.inf))
        rows = np.flatnonzero(self.heaviest > lightest)  # the other caps take every gene
        mask = np.ones(len(self.weight), dtype=bool)
        mask[heavy] = (self.task.load[np.ix_(rows, heavy)] <= lightest[rows, None]).all(axis=0)
        mask[self.members] = True
        return mask

    def admits(self, gene: int) -> bool:
        """Whether the panel can still be completed after taking this gene."""
        return gene in self.members or self._replaced_by(gene) is not None

    def take(self, gene: int) -> None:
        """Move a gene into the panel; it leaves the reserve or replaces one of its genes."""
        if gene not in self.members:
            leaving = self._replaced_by(gene)
            assert leaving is not None, "ask admits(gene) first"
            self.room = self.room + self.task.load[:, leaving] - self.task.load[:, gene]
            self.surplus = self.surplus + self.task.markers[:, gene] - self.task.markers[:, leaving].astype(int)
            gene = leaving
        self.members = self.members[self.members != gene]

    def _replaced_by(self, gene: int) -> int | None:
        """The heaviest reserved gene that this gene can replace; None if there is none."""
        able = np.ones(len(self.members), dtype=bool)
        room = self.room - self.task.load[:, gene]
        full = np.flatnonzero(room < -ROUNDING)  # the other caps take the gene even if none leaves
        able &= (room[full, None] + self.task.load[np.ix_(full, self.members)] >= -ROUNDING).all(axis=0)
        if len(self.needy):
            markers = self.task.markers[self.needy]
            left = self.surplus[self.needy] + markers[:, gene]
            able &= (left[:, None] >= markers[:, self.members]).all(axis=0)
        return int(self.members[able.argmax()]) if able.any() else None
