"""The objective of a panel and its greedy maximisation."""

import numpy as np
import pytest
from cells import planted

from smash_gpu import panel, reading


@pytest.fixture
def data(adata):
    return reading.read(adata, {"groupby": "cell_type"})


def dense_greedy(data, n_genes, tau):
    """All gains at every step, from the formula."""
    n = data.stats.cells[:, None]
    mean = data.stats.total / n
    variance = data.stats.square / n - mean**2
    a, b = np.triu_indices(data.n_groups, 1)
    s = (mean[a] - mean[b]) ** 2 / (variance[a] + variance[b] + 0.05)
    depth, chosen = np.zeros(len(a)), []
    by_name = np.argsort(data.names)
    for _ in range(n_genes):
        gain = np.exp(-depth / tau) @ (1 - np.exp(-s / tau))
        chosen.append(next(g for g in by_name[np.argsort(-gain[by_name], kind="stable")] if g not in chosen))
        depth += s[:, chosen[-1]]
    return chosen


@pytest.mark.parametrize("n_genes", [1, 5, 20])
def test_the_lazy_choice_is_the_greedy_choice(data, n_genes):
    tau = max(2, 0.3 * n_genes)
    assert panel.choose(n_genes)(data).tolist() == dense_greedy(data, n_genes, tau)


def test_planted_markers_come_first(rng):
    data = reading.read(planted(rng), {"groupby": "cell_type"})
    assert all(name.startswith("MARKER") for name in data.names[panel.choose(6)(data)])
