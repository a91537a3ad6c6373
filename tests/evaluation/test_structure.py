"""What a list keeps of the structure inside types, by plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from cases.lists import MARKERS, data_of

import smash_gpu as smg
from smash_gpu.data.splits import Split
from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation.metrics import STRUCTURE
from smash_gpu.evaluation.structure import RESOLUTIONS, Structure, captured, kept, structure_of

SPLIT = Split(np.arange(160), np.arange(160, 240))


def nearest(points, k):
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return [set(np.argsort(row)[:k]) for row in distances]


def whole_of(data):
    return structure_of(data, data.only(data.cells[SPLIT.train]), SPLIT, random_state=0)


def test_neighbours_by_hand(adata):
    data = data_of(adata)
    X = data.host_expression(np.arange(60)).astype(np.float64)
    centre = X[SPLIT.train].mean(axis=0)
    _, _, axes = np.linalg.svd(X[SPLIT.train] - centre, full_matrices=False)
    expected = nearest((X[SPLIT.test] - centre) @ axes[:30].T, 15)
    whole = whole_of(data)
    agree = [len(near & set(row)) / 15 for near, row in zip(expected, whole.near, strict=True)]
    assert np.mean(agree) > 0.9  # the last axes of noise are close to each other
    genes = np.array([0, 4, 30])
    found = kept(X[SPLIT.train][:, genes], X[SPLIT.test][:, genes], genes, SPLIT, whole)
    own = nearest(X[SPLIT.test][:, genes], 15)
    shares = [len(near & set(row)) / 15 for near, row in zip(own, whole.near, strict=True)]
    assert found["neighbour_overlap"] == pytest.approx(np.mean(shares), abs=0.01)


def test_all_genes_keep_more_neighbours_than_some(adata):
    data = data_of(adata)
    X, every = data.host_expression(np.arange(60)), np.arange(60)
    whole = whole_of(data)
    full = kept(X[SPLIT.train], X[SPLIT.test], every, SPLIT, whole)
    few = kept(X[SPLIT.train][:, :2], X[SPLIT.test][:, :2], every[:2], SPLIT, whole)
    assert full["neighbour_overlap"] > few["neighbour_overlap"] + 0.2
    assert np.isnan(full["explained_variance"]), "no gene is left to explain"


def test_explained_variance_by_hand(rng):
    """A gene that is a sum of the panel's is explained, an independent one is not; variance is the weight."""
    panel = rng.normal(size=(240, 2)).astype(np.float32)
    depends, free = panel @ [2.0, 1.0], rng.normal(size=240)
    near = np.zeros((80, 15), dtype=int)

    def explained(*targets):
        whole = Structure(near, 2 + np.arange(len(targets)), np.stack(targets, axis=1).astype(np.float32))
        return kept(panel[:160], panel[160:], np.arange(2), SPLIT, whole)["explained_variance"]

    assert explained(depends) > 0.99
    assert abs(explained(free)) < 0.1
    parts = np.array([depends[160:].var(), free[160:].var()])
    assert explained(depends, free) == pytest.approx(parts[0] / parts.sum(), abs=0.05)


def test_held_out_cells_teach_nothing(adata):
    """Other values in held-out cells change neither the targets nor the genes of the components."""
    data = data_of(adata)
    before = whole_of(data)
    adata.X = adata.X.toarray()
    adata.X[160:, 20:] *= 3
    after = whole_of(data_of(adata))
    np.testing.assert_array_equal(before.targets, after.targets)
    np.testing.assert_array_equal(before.X[SPLIT.train], after.X[SPLIT.train])


def test_they_are_metrics_of_any_list(adata):
    lists = {"markers": MARKERS[:3], "noise": ["NOISE9", "NOISE10", "NOISE11"]}
    smg.tl.evaluate(adata, "cell_type", genes=lists, n_splits=2, structure=True, thin=0.5)
    found = smg.get.comparison(adata, "explained_variance").query("thin == 1").set_index("genes")["mean"]
    assert found["markers"] > found["noise"]
    assert smg.get.comparison(adata, "neighbour_overlap")["mean"].between(0, 1).all()
    assert "neighbour_overlap" in set(smg.get.differences(adata, reference="noise")["metric"])
    smg.tl.evaluate(adata, "cell_type", genes=lists, n_splits=1)
    assert "neighbour_overlap" not in set(smg.get.comparison(adata)["metric"])


def test_types_are_captured_from_three_quarters_of_their_cells_on():
    confusion = np.array([[100, 0, 0, 0], [0, 80, 20, 0], [26, 0, 74, 0], [0, 0, 0, 0]])
    assert captured(confusion) == pytest.approx((1 + 0.5 + 0) / 3)
    assert captured(np.diag([4, 1])) == 1


@pytest.mark.slow
def test_captured_types_are_those_that_the_forest_recalls(adata):
    lists = {"markers": MARKERS[:3], "noise": ["NOISE9", "NOISE10", "NOISE11"]}
    options = {"genes": lists, "n_splits": 2, "thin": 0.5}
    smg.tl.evaluate(adata, "cell_type", classifier=["knn", "forest"], structure="captured_types", **options)
    table, forest = smg.get.evaluation_splits(adata), smg.get.evaluation_splits(adata)["classifier"] == "forest"
    confusion = adata.uns["smash"]["confusion"]
    for row in table[forest].itertuples():
        same = table[~forest].query(f"genes == '{row.genes}' and split == {row.split} and thin == {row.thin}")
        assert same["captured_types"].item() == row.captured_types == captured(confusion[row.Index])
    means = table.groupby("genes")["captured_types"].mean()
    assert means["markers"] > means["noise"] + 0.3
    assert "neighbour_overlap" not in table


def test_clusters_of_the_same_cells_agree_and_those_of_noise_do_not(adata):
    pytest.importorskip("igraph", reason="Leiden clustering needs igraph, which the tests do not ask for")
    data = data_of(adata)
    whole = structure_of(data, data.only(data.cells[SPLIT.train]), SPLIT, random_state=0, wanted=["cluster_nmi"])
    assert whole.clusters.shape == (len(RESOLUTIONS), len(SPLIT.test))
    X = data.host_expression(np.arange(60))

    def nmi(genes):
        return kept(X[SPLIT.train][:, genes], X[SPLIT.test][:, genes], genes, SPLIT, whole)["cluster_nmi"]

    markers = np.flatnonzero(np.isin(data.names, MARKERS))
    assert nmi(markers) > nmi(np.arange(30, 39)) + 0.2
    itself = whole.near, whole.targets, whole.X, np.stack([data.labels[SPLIT.test]] * len(RESOLUTIONS))
    assert 0 < kept(X[SPLIT.train], X[SPLIT.test], np.arange(60), SPLIT, Structure(*itself))["cluster_nmi"] <= 1


@pytest.mark.parametrize(
    ("structure", "expected"), [(True, STRUCTURE[:2]), (False, ()), ("explained_variance", STRUCTURE[1:2]), ([], ())]
)
def test_only_what_is_asked_for_is_computed(adata, structure, expected):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS[:3], n_splits=1, structure=structure)
    assert tuple(name for name in smg.get.evaluation_splits(adata) if name in STRUCTURE) == expected
    assert tuple(smg.get.evaluation_options(adata)["structure"] or ()) == expected


def test_another_name_and_a_missing_package_are_said(adata, monkeypatch):
    for wanted in ("captured", 1):
        with pytest.raises(ValueError, match=f"structure={wanted!r} is not one of .*captured_types"):
            smg.tl.evaluate(adata, "cell_type", genes=MARKERS[:3], structure=wanted)
    monkeypatch.setattr("smash_gpu.tl._evaluate.find_spec", lambda _: None)
    with pytest.raises(ImportError, match="cluster_nmi needs igraph: pip install igraph, or leave it out"):
        smg.tl.evaluate(adata, "cell_type", genes=MARKERS[:3], structure=["cluster_nmi"])


def test_a_metric_that_was_not_measured_is_said(adata):
    smg.tl.evaluate(adata, "cell_type", genes=MARKERS[:3])
    with pytest.raises(
        NotFoundError, match="'cluster_nmi' was not measured; run tl.evaluate with structure='cluster_nmi'"
    ):
        smg.get.learning_curve(adata, "cluster_nmi")
