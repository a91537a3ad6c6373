"""Halves, frequencies, overlaps and substitutes, against plain loops and planted genes."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cells import planted
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import smash_gpu as smg
from smash_gpu.annotated import slots
from smash_gpu.evaluation import stability
from smash_gpu.evaluation.stability import Resampled
from smash_gpu.models.nearest_mean import NearestMean
from smash_gpu.selection import marker_panel

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]
FEW_TREES = {"n_estimators": 10}
FEW = settings(max_examples=40)


def by_mean(cells, n_genes):
    """A chooser that depends on the cells: the genes with the largest mean count."""
    mean = np.asarray(cells.X.mean(axis=0)).ravel()
    return cells.var_names[np.lexsort((cells.var_names, -mean))][:n_genes].tolist()


@FEW
@given(st.lists(st.integers(2, 12), min_size=2, max_size=5), st.integers(0, 1000))
def test_halves_are_complementary_in_every_group_that_can_be_halved(sizes, seed):
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    first, second = stability.halves(group, rng)
    for code, size in enumerate(sizes):
        cells = set(np.flatnonzero(group == code))
        a, b = cells & set(first), cells & set(second)
        if size < 4:
            assert a == b == cells
        else:
            assert a | b == cells
            assert not a & b
            assert abs(len(a) - len(b)) <= 1
            assert min(len(a), len(b)) >= 2
    assert (np.diff(first) > 0).all()
    assert (np.diff(second) > 0).all()


def test_every_cell_is_as_often_in_a_first_half(rng):
    group = np.repeat([0, 1], [11, 8])
    counts = np.zeros(19)
    for _ in range(2000):
        counts[stability.halves(group, rng)[0]] += 1
    np.testing.assert_allclose(counts / 2000, 0.5, atol=0.06)


def test_samples_stay_whole(rng):
    sample = np.array([f"d{i}" for i in rng.integers(0, 5, 90)], dtype=object)
    first, second = stability.halves_of_samples(sample, rng)
    assert not set(sample[first]) & set(sample[second])
    assert sorted([*first, *second]) == list(range(90))
    assert {len(set(sample[first])), len(set(sample[second]))} == {2, 3}
    with pytest.raises(ValueError, match="3 samples.*at least 4.*Omit sample_key"):
        stability.halves_of_samples(np.array(["a", "b", "c"]), rng)


def test_a_list_that_ignores_the_cells_is_perfectly_stable(adata):
    smg.tl.stability(adata, "cell_type", n_genes=9, n_resamples=4, choose=lambda cells, n: MARKERS[:n])
    table = smg.get.stability(adata)
    assert table["name"].tolist() == MARKERS
    assert table["frequency"].tolist() == [1] * 9
    for column in ("rank", "rank_median", "rank_low", "rank_high"):
        assert table[column].tolist() == list(range(1, 10))
    overlap = smg.get.panel_overlap(adata)
    assert overlap.loc["shared"].tolist() == [9, 0, 9, 9]
    assert overlap.loc["jaccard", "mean"] == 1
    assert overlap.loc["shared_by_chance", "mean"] == pytest.approx(81 / 60)
    assert len(smg.get.substitutes(adata)) == 0


def test_frequencies_ranks_and_overlaps_are_the_plain_loop(adata):
    panels = []

    def choose(cells, n_genes):
        panels.append((set(cells.obs_names), by_mean(cells, n_genes)))
        return panels[-1][1]

    smg.tl.stability(adata, "cell_type", n_genes=12, n_resamples=6, choose=choose, random_state=3)
    (everyone, whole), *halves = panels
    assert len(halves) == 6
    assert everyone == set(adata.obs_names)
    table = smg.get.stability(adata).set_index("name")
    assert set(table.index) == set(whole).union(*(panel for _, panel in halves))
    for gene, row in table.iterrows():
        ranks = sorted(panel.index(gene) + 1 if gene in panel else 13 for _, panel in halves)
        assert row["frequency"] == pytest.approx(sum(r < 13 for r in ranks) / 6)
        assert (row["rank_low"], row["rank_median"], row["rank_high"]) == (ranks[0], ranks[2], ranks[5])
        assert row["rank"] == (whole.index(gene) + 1 if gene in whole else 0)
    shared = []
    for (cells, panel), (others, other) in zip(halves[::2], halves[1::2], strict=True):
        assert not cells & others
        assert cells | others == everyone
        shared.append(len(set(panel) & set(other)))
    overlap = smg.get.panel_overlap(adata)
    assert overlap.loc["shared", "mean"] == pytest.approx(np.mean(shared))
    assert overlap.loc["jaccard", "mean"] == pytest.approx(np.mean([s / (24 - s) for s in shared]))
    assert 0 < overlap.loc["jaccard", "mean"] < 1


def test_with_samples_whole_donors_are_drawn(adata):
    seen = []

    def choose(cells, n_genes):
        seen.append(set(cells.obs["sample"]))
        return by_mean(cells, n_genes)

    smg.tl.stability(adata, "cell_type", n_genes=5, n_resamples=4, choose=choose, sample_key="sample")
    assert [len(donors) for donors in seen] == [4, 2, 2, 2, 2]
    assert not seen[1] & seen[2]
    assert slots.recorded(adata, "smash", "stability")["halves_of"] == "samples"


def test_planted_markers_are_chosen_again_and_noise_is_not(adata):
    smg.tl.smash(adata, "cell_type", model_options={"n_estimators": 20})
    smg.tl.stability(adata, "cell_type", n_genes=15, n_resamples=4)
    table = smg.get.stability(adata).set_index("name")["frequency"]
    assert (table[MARKERS] == 1).all()
    assert table.drop(MARKERS).max() < 1
    panel = smg.get.stability(adata).query("rank > 0").sort_values("rank")["name"].tolist()
    assert panel == smg.get.marker_panel(adata, 15)


@pytest.mark.slow
def test_panels_from_random_labels_overlap_as_chance_does(rng):
    adata = planted(rng, n_cells=300, n_genes=120)
    adata.X = sparse.csr_matrix(rng.poisson(1.0, (300, 120)).astype(np.float32))
    adata.obs["cell_type"] = pd.Categorical(rng.permutation(adata.obs["cell_type"].astype(str)))
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, filters={"max_fraction": 1.0})
    smg.tl.stability(adata, "cell_type", n_genes=30, n_resamples=12)
    overlap = smg.get.panel_overlap(adata)
    assert overlap.loc["shared_by_chance", "mean"] == 7.5
    assert overlap.loc["shared", "mean"] == pytest.approx(7.5, abs=3)


def test_a_twin_takes_a_genes_place(rng):
    """Two genes with one profile, of which every half chooses the one that it sees more of."""
    adata = planted(rng, n_cells=300)
    counts = adata.X.toarray()
    group = adata.obs["cell_type"].cat.codes.to_numpy()
    for code in range(3):
        counts[group == code, 30] = rng.permutation(counts[group == code, 0])
    adata.X = sparse.csr_matrix(counts)

    def choose(cells, n_genes):
        total = np.asarray(cells.X.sum(axis=0)).ravel()
        names = list(cells.var_names)
        better = max(("MARKER0X", "NOISE30"), key=lambda gene: total[names.index(gene)])
        other = max(("NOISE40", "NOISE41"), key=lambda gene: total[names.index(gene)])
        return [better, "MARKER1X", "MARKER2X", other]

    smg.tl.stability(adata, "cell_type", n_genes=4, n_resamples=20, choose=choose)
    frequency = smg.get.stability(adata).set_index("name")["frequency"]
    assert {"MARKER0X", "NOISE30"} <= set(frequency.index)
    table = smg.get.substitutes(adata)
    chosen = next(gene for gene in ("MARKER0X", "NOISE30") if gene in set(table["name"]))
    twin = {"MARKER0X": "NOISE30", "NOISE30": "MARKER0X"}[chosen]
    first = smg.get.substitutes(adata, chosen).iloc[0]
    assert first["substitute"] == twin
    assert first["correlation"] > 0.99
    assert (first["when_absent"], first["when_present"]) == (1, 0)
    assert first["frequency"] == frequency[twin]


def test_substitutes_are_the_plain_loop_over_correlated_genes(rng):
    mean = rng.normal(size=(5, 12))
    mean[:, 3:6] = mean[:, [0]] + rng.normal(size=(5, 3)) * [[0.1, 0.4, 0.7]]
    halves = [[0, 1, 2], [3, 1, 7], [4, 5, 2], [0, 1, 8]]
    found = Resampled(np.array([0, 1]), np.array(halves))
    names = np.array([f"g{i}" for i in range(12)], dtype=object)
    table = stability.substitutes(found, mean, names, 2)
    for gene in (0, 1):
        alike = {other: np.corrcoef(mean[:, gene], mean[:, other])[0, 1] for other in (2, 3, 4, 5, 7, 8)}
        best = [other for other in sorted(alike, key=alike.get, reverse=True) if alike[other] >= 0.5][:2]
        rows = table[table["name"] == f"g{gene}"]
        assert rows["substitute"].tolist() == [f"g{other}" for other in best]
        for other, row in zip(best, rows.itertuples(), strict=True):
            without = [other in half for half in halves if gene not in half]
            with_it = [other in half for half in halves if gene in half]
            assert row.correlation == pytest.approx(alike[other])
            assert (row.when_absent, row.when_present) == (np.mean(without), np.mean(with_it))
            assert row.frequency == np.mean(without + with_it)
    assert len(table[table["name"] == "g0"]) == 2
    always = stability.substitutes(Resampled(np.array([0]), np.array([[0, 3], [0, 4]])), mean, names, 1)
    assert np.isnan(always["when_absent"]).all()


def test_one_seed_one_result_that_survives_a_file(adata, tmp_path):
    tables = []
    for seed in (1, 1, 2):
        smg.tl.stability(adata, "cell_type", n_genes=12, n_resamples=4, choose=by_mean, random_state=seed)
        tables.append(smg.get.stability(adata))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    for function in (smg.get.stability, smg.get.panel_overlap, smg.get.substitutes):
        pd.testing.assert_frame_equal(function(again), function(adata))


@pytest.mark.filterwarnings("ignore:.*one cell of each was moved")
def test_a_group_of_two_cells_is_no_obstacle(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[:2] = "rare type"
    adata.obs["cell_type"] = labels
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    smg.tl.stability(adata, "cell_type", n_genes=6, n_resamples=2)
    assert smg.get.stability(adata)["frequency"].max() == 1


BAD = {
    "no selection to repeat": ({}, KeyError, r"tl\.smash"),
    "an odd number": ({"choose": by_mean, "n_resamples": 3}, ValueError, "n_resamples=3.*even"),
    "none": ({"choose": by_mean, "n_resamples": 0}, ValueError, "n_resamples=0"),
    "no genes": ({"choose": by_mean, "n_genes": 0}, ValueError, "n_genes=0"),
    "too few genes": ({"choose": lambda cells, n: ["MARKER0X"]}, ValueError, "choose returned 1 different genes"),
}


@pytest.mark.parametrize(("options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_named_and_nothing_is_written(adata, options, kind, message):
    with pytest.raises(kind, match=message):
        smg.tl.stability(adata, "cell_type", **options)
    assert not adata.uns


def test_what_is_not_there_names_the_step_that_makes_it(adata):
    for function in (smg.get.stability, smg.get.panel_overlap, smg.get.substitutes):
        with pytest.raises(KeyError, match=r"tl\.stability"):
            function(adata)
    smg.tl.stability(adata, "cell_type", n_genes=4, n_resamples=2, choose=by_mean)
    with pytest.raises(KeyError, match="'XIST' is not in the panel"):
        smg.get.substitutes(adata, "XIST")


def panels_chosen(adata, monkeypatch, **options):
    """How many panels `tl.stability` chooses, and its tables."""
    chosen = []
    own = marker_panel.select
    monkeypatch.setattr(marker_panel, "select", lambda data, *a, **k: chosen.append(data) or own(data, *a, **k))
    smg.tl.stability(adata, "cell_type", n_genes=9, n_resamples=2, **options)
    monkeypatch.undo()
    return len(chosen), smg.get.stability(adata), smg.get.substitutes(adata)


@pytest.mark.parametrize("kinds", [False, True])
def test_the_selection_on_all_cells_is_not_repeated(adata, monkeypatch, kinds):
    if kinds:  # the first row of var is no gene
        adata.var["feature_types"] = ["Antibody Capture"] + ["Gene Expression"] * (adata.n_vars - 1)
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    n, *tables = panels_chosen(adata, monkeypatch)
    assert n == 2
    del adata.varm["smash_spare"]  # as in files without it
    again, *others = panels_chosen(adata, monkeypatch)
    assert again == 3
    for table, other in zip(tables, others, strict=True):
        pd.testing.assert_frame_equal(table, other)


@pytest.mark.parametrize("change", ["values", "labels", "source"])
def test_a_selection_of_other_data_is_repeated_on_all_cells(adata, monkeypatch, change):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    options = {"sample_key": "sample"} if change == "source" else {}
    if change == "values":
        adata.X = adata.X[::-1].copy()
    elif change == "labels":
        adata.obs["cell_type"] = adata.obs["cell_type"].to_numpy()[::-1]
    assert panels_chosen(adata, monkeypatch, **options)[0] == 3


def test_a_selection_among_more_genes_is_repeated_on_all_cells(adata, monkeypatch):
    adata.X = adata.X.log1p()  # so that the values do not depend on which genes there are
    smg.tl.smash(adata, "cell_type", normalize=False, model_options=FEW_TREES)
    fewer = adata[:, adata.var["smash_marker"]].copy()
    assert panels_chosen(fewer, monkeypatch)[0] == 3


def test_no_half_is_asked_how_well_it_predicts(adata, monkeypatch):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    monkeypatch.setattr(NearestMean, "of", None)
    smg.tl.stability(adata, "cell_type", n_genes=9, n_resamples=2)
    assert smg.get.stability(adata)["frequency"].max() == 1
