"""Tiers, windows, budgets, weights and the sample rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.panels import counts_per_cell, designed, names
from cells import planted

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.panel.adjust import sample_limits
from smash_gpu.panel.tables import tables


def test_tiers_come_in_their_order(data):
    priorities = {"NOISE30": "must", "NOISE31": "wanted", "MARKER0X": "spare"}
    chosen = names(designed(data, n_genes=12, priorities=priorities))
    assert chosen[:2] == ["NOISE30", "NOISE31"]
    assert "MARKER0X" not in chosen
    everything = names(designed(data, n_genes=60, priorities=priorities))
    assert everything[-1] == "MARKER0X"
    with pytest.raises(ValueError, match="a priority is must, wanted, spare"):
        designed(data, n_genes=12, priorities={"NOISE30": "perhaps"})


def test_windows_limits_and_their_ledger(data):
    counts = counts_per_cell(data)
    table = pd.DataFrame({"probes": np.where(np.arange(60) == 3, np.nan, np.arange(60))}, index=data.names)
    options = {"mean_counts": (0.5, 3), "max_counts": (None, 5.0), "limits": {"probes": (1, 50)}}
    design = designed(data, table, n_genes=8, **options)
    mean = np.average(counts, axis=0, weights=data.stats.cells)
    for gene in design.panel:
        assert 0.5 <= mean[gene] <= 3
        assert counts[:, gene].max() <= 5
        assert 1 <= gene <= 50
    assert 3 not in design.panel
    assert tables(design)["rules"]["left"].iloc[-1] == (design.problem.found.tier < 4).sum()


def test_a_gene_that_is_included_is_kept_from_the_rules(data):
    design = designed(data, n_genes=5, include=["MARKER0X"], max_counts=(0, 3))
    assert names(design)[0] == "MARKER0X"


def test_the_budget_holds(data):
    table = pd.DataFrame({"price": np.linspace(1, 3, 60)}, index=data.names)
    design = designed(data, table, n_genes=10, cost_key="price", budget=14.0)
    assert table["price"].to_numpy()[design.panel].sum() <= 14
    with pytest.raises(ValueError, match="go together"):
        designed(data, table, n_genes=10, budget=14.0)
    with pytest.raises(panel.InfeasibleError, match="cost"):
        designed(data, table, n_genes=10, cost_key="price", budget=5.0)


def test_genes_that_exist_already_cost_nothing(data):
    table = pd.DataFrame({"price": np.where(data.names == "MARKER0X", 100.0, 1.0)}, index=data.names)
    design = designed(data, table, n_genes=10, extend=["MARKER0X"], cost_key="price", budget=10.0)
    assert tables(design)["caps"]["used"].tolist() == [10.0]
    with pytest.raises(panel.InfeasibleError):
        designed(data, table, n_genes=10, include=["MARKER0X"], cost_key="price", budget=10.0)


def test_thrift_finds_more_than_greed_under_a_cap(data):
    """One gene that fills the cap against many that do nearly as much."""
    table = pd.DataFrame({"price": [9.0 if n.endswith("X") else 1.0 for n in data.names]}, index=data.names)
    design = designed(data, table, n_genes=8, cost_key="price", budget=16.0)
    assert sum(name.endswith("X") for name in names(design)) <= 1
    assert sum(name.startswith("MARKER") for name in names(design)) >= 6


def test_weights_move_the_choice(data):
    table = pd.DataFrame({"liking": [1e6 if n == "NOISE40" else np.nan for n in data.names]}, index=data.names)
    assert names(designed(data, table, n_genes=3, weight_key="liking"))[0] == "NOISE40"


def test_positive_only_leaves_out_genes_that_stand_out_by_absence(rng):
    adata = planted(rng, groups=("A", "B", "C", "D", "E"))
    lacking = adata.obs["cell_type"] == "C"
    dense = adata.X.toarray()
    dense[:, 30] = np.where(lacking, 0, rng.poisson(8, len(lacking)))
    adata.X = type(adata.X)(dense)
    data = read(adata, {"groupby": "cell_type"})
    assert "NOISE30" in names(designed(data, n_genes=8))
    assert "NOISE30" not in names(designed(data, n_genes=20, positive_only=True))


def test_a_gene_of_one_donor_is_rejected_by_the_sample_rule(rng):
    adata = planted(rng, n_cells=800)
    dense = adata.X.toarray()
    only = (adata.obs["cell_type"] == "A") & (adata.obs["sample"] == "donor0")
    dense[:, 50] = np.where(only, rng.poisson(60, 800), 0)
    adata.X = type(adata.X)(dense)
    free = designed(read(adata, {"groupby": "cell_type"}), n_genes=10)
    ruled = designed(read(adata, {"groupby": "cell_type", "sample_key": "sample"}), n_genes=10)
    assert free.objective.gains(free.objective.depth(), [50])[0] > 0.01
    assert ruled.objective.gains(ruled.objective.depth(), [50])[0] == 0
    assert sum(name.startswith("MARKER") for name in names(ruled)) >= 8


def test_sample_limits_count_samples(rng):
    means, counts = rng.normal(size=(2, 7, 30)), rng.random((2, 7)) < 0.8
    low, high = sample_limits(means, counts, means.mean(axis=1), 0.7)
    for c, g in np.ndindex(2, 30):
        spoken = means[c, counts[c], g]
        for middle in rng.normal(size=5):
            assert (low[c, g] > middle) == (np.mean(spoken > middle) >= 0.7)
            assert (high[c, g] < middle) == (np.mean(spoken < middle) >= 0.7)
