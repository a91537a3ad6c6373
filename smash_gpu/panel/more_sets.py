"""More probe sets for the genes of a panel, where the caps leave room."""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu.panel.feasible import ROUNDING
from smash_gpu.panel.probe_sets import scaled
from smash_gpu.panel.result import Design

SEPARATIONS_FOR_TRADES = 2**20  # pairs × genes × probe sets
TRADES = 100
RISE = 1e-7  # of F


class Filling:
    """The panel of a design while its numbers of probe sets change, one gene at a time."""

    def __init__(self, design: Design) -> None:
        problem, sets = design.problem, design.problem.probe_sets
        assert sets is not None
        self.sets, self.objective, self.most = sets, design.objective, design.most
        self.panel, self.number, self.depth = design.panel, sets.number.copy(), design.depth
        caps = sets.most.caps
        step = np.where(scaled(caps)[:, None], caps.load[:, self.panel] / sets.high[self.panel], 0.0)
        self.step = step / caps.unit[:, None]
        self.room = (problem.caps.limit - problem.caps.used(design.whole)) / caps.unit + ROUNDING

    def separation(self, place: int, number: int) -> Any:
        """Of the gene in this place, with so many probe sets."""
        return self.sets.separation(self.most, int(self.panel[place]), number)

    def change(self, place: int, by: int) -> Any:
        """What ``by`` more sets add to the depth."""
        now = int(self.number[self.panel[place]])
        return self.separation(place, now + by) - self.separation(place, now)

    def rise(self, place: int, by: int) -> float:
        """What ``by`` more sets add to F."""
        return self.objective.value(self.depth + self.change(place, by)) - self.objective.value(self.depth)

    def give(self, place: int, by: int) -> None:
        """Give a gene ``by`` more sets."""
        self.depth = self.depth + self.change(place, by)
        self.room = self.room - by * self.step[:, place]
        self.number[self.panel[place]] += by

    def may_rise(self) -> np.ndarray:
        """Places whose genes may have another probe set."""
        return np.flatnonzero(self.number[self.panel] < self.sets.high[self.panel])

    def fill(self) -> None:
        """Give another set to the genes that gain most for the share of a cap that it takes, while there is room."""
        while True:
            fits = (self.step <= self.room[:, None]).all(axis=0)
            places = [place for place in self.may_rise().tolist() if fits[place]]
            if not places:
                return
            rises = np.array([self.rise(place, 1) for place in places])
            taken = np.maximum(self.step[:, places].max(axis=0, initial=0.0), 1e-300)
            for place in np.array(places)[np.argsort(-rises / taken, kind="stable")].tolist():
                if (self.step[:, place] <= self.room).all():
                    self.give(place, 1)

    def trade(self) -> bool:
        """Take sets of one gene for one more of another, if F then rises by more than it falls; whether it did.

        What the one gains is least before the other loses (submodularity), so that F rises by at least the difference.
        """
        up = self.may_rise()
        down = [
            (place, by)
            for place, gene in enumerate(self.panel)
            for by in range(1, int(self.number[gene] - self.sets.low[gene]) + 1)
        ]
        if not len(up) or not down:
            return False
        rises = np.array([self.rise(place, 1) for place in up.tolist()])
        falls = np.array([self.rise(place, -by) for place, by in down])
        freed = np.stack([by * self.step[:, place] for place, by in down], axis=1)
        net = rises[:, None] + falls
        net[up[:, None] == np.array([place for place, _ in down])] = -np.inf
        for at in np.argsort(-net, axis=None, kind="stable"):
            i, j = np.unravel_index(at, net.shape)
            if net[i, j] <= RISE:
                return False
            if (self.step[:, up[i]] <= self.room + freed[:, j]).all():
                self.give(down[j][0], -down[j][1])
                self.give(int(up[i]), 1)
                return True
        return False


def with_more_sets(design: Design) -> Design:
    """The same genes with more probe sets where there is room; in small problems also with fewer of one for another."""
    filling = Filling(design)
    filling.fill()
    sets = filling.sets
    choices = int((sets.high - sets.low + 1)[design.panel].sum())
    if choices * len(design.objective.weight) <= SEPARATIONS_FOR_TRADES:
        for _ in range(TRADES):
            if not filling.trade():
                break
            filling.fill()
    return design.of(design.panel, filling.number)
