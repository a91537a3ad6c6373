"""Panel design: exactly N genes that tell every pair of classes apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smash_gpu.arrays import place, to_host
from smash_gpu.dataset import Dataset
from smash_gpu.panel.greedy import Gains
from smash_gpu.panel.objective import Objective, tau_for
from smash_gpu.panel.profiles import Profiles

__all__ = ["choose"]


def choose(n_genes: int, *, tau: float | None = None, prior: float = 0.0) -> Callable[[Dataset], np.ndarray]:
    """A function from data to the numbers of the ``n_genes`` genes of a panel, best first.

    Parameters
    ----------
    tau
        The separation at which a pair of classes is resolved by 63 %; None for ``max(2, 0.3 n_genes)``.
    prior
        Pairs weigh ``(p_a p_b)^(prior / 2)`` with the shares p of the classes: 0 all pairs alike, 1 by frequency.
    """

    def chosen(data: Dataset) -> np.ndarray:
        stats = data.stats
        cells = np.maximum(stats.cells, 1)[:, None]
        variance = np.maximum(stats.square / cells - stats.mean**2, 0)
        first, second = np.triu_indices(data.n_groups, 1)
        share = stats.cells / stats.cells.sum()
        weight = (share[first] * share[second]) ** (prior / 2)
        parts = (stats.mean, variance, first, second, weight / weight.sum())
        mean, variance, first, second, weight = (place(part, data.device) for part in parts)
        gains = Gains(Objective(Profiles(mean, variance), first, second, weight, tau or tau_for(n_genes)), data.names)
        free = np.ones(len(data.names), dtype=bool)
        panel = []
        for _ in range(n_genes):
            panel.append(gains.best(free))
            free[panel[-1]] = False
            gains.take(panel[-1])
        return np.array(panel)

    return chosen
