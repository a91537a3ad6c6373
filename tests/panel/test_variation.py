"""The variation between cells that a panel explains, against least squares over the cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases.panels import designed, names
from hypothesis import given, settings
from hypothesis import strategies as st

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.data.dataset import Dataset
from smash_gpu.panel import covariance
from smash_gpu.panel.problem import prepare
from smash_gpu.panel.tables import tables
from smash_gpu.panel.variation import NOISE, variation_of, without_each

N_COMPONENTS = 30
QUOTA = {"noise": (["NOISE30", "NOISE31", "NOISE32"], 2, None)}
CONSTRAINTS = {
    "include": {"include": ["NOISE40"]},
    "extend": {"extend": ["MARKER0X", "NOISE20"]},
    "quotas": {"quotas": QUOTA},
    "transcripts": {"max_transcripts": 12},
    "probe sets": {"max_transcripts": 12, "probe_sets": (1, 4)},
    "markers": {"min_markers": 2},
    "priorities": {"priorities": {"NOISE10": "wanted", "MARKER0X": "spare"}},
    "weights": {"weight_key": {"NOISE10": 5.0}},
    "nested": {"nested": True},
    "failing probes": {"failure_rate": 0.2},
}


def expression(data):
    """Log-normalised, cells × genes, in double precision."""
    dense = data.matrix.toarray().astype(float)
    return np.log1p(1e4 * dense / dense.sum(axis=1, keepdims=True))


def targets_of(e, target):
    """What is to be explained, cells × targets, centred."""
    e = e - e.mean(axis=0)
    if target == "total":
        return e
    return e @ np.linalg.svd(e, full_matrices=False)[2][:N_COMPONENTS].T


def by_least_squares(e, target, genes):
    """V by a regression of every target on the genes, over the cells; rows below them stand for the noise."""
    y, x = targets_of(e, target), (e - e.mean(axis=0))[:, list(genes)]
    noise = np.sqrt(NOISE * len(e) * e.var(axis=0).max()) * np.eye(x.shape[1])
    x, y = np.vstack([x, noise]), np.vstack([y, np.zeros((x.shape[1], y.shape[1]))])
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return 1 - (left**2).sum() / (y**2).sum()


def made_up(seed, n_cells=60, n_genes=12):
    rng = np.random.default_rng(seed)
    return rng.gamma(1.0, 1.0, (n_cells, 5)) @ rng.uniform(0, 1, (5, n_genes)) + rng.gamma(1.0, 0.5, (n_cells, n_genes))


def of(e, target):
    n = e.shape[1]
    return variation_of(0.3, target, np.arange(n), np.arange(n), np.cov(e.T, bias=True))


@given(seed=st.integers(0, 10_000), target=st.sampled_from(["pc", "total"]), genes=st.permutations(range(12)))
@settings(max_examples=30)
def test_updates_equal_least_squares(seed, target, genes):
    e = made_up(seed)
    variation = of(e, target)
    explained = variation.explained(genes[:4])
    assert explained.share == pytest.approx(by_least_squares(e, target, genes[:4]), abs=1e-9)
    for gene in range(12):
        whole = by_least_squares(e, target, {*genes[:4], gene})
        assert explained.share + explained.gains[gene] == pytest.approx(whole, abs=1e-9)


@given(seed=st.integers(0, 10_000), target=st.sampled_from(["pc", "total"]), genes=st.permutations(range(12)))
@settings(max_examples=30)
def test_the_share_rises_and_stays_below_what_the_spectrum_allows(seed, target, genes):
    variation = of(made_up(seed), target)
    shares = [variation.explained(genes[:n]).share for n in range(13)]
    assert (np.diff(shares) >= 0).all()
    assert all(share <= variation.bound(n) + 1e-9 for n, share in enumerate(shares))


def test_without_noise_as_many_leading_components_explain_the_bound(monkeypatch):
    monkeypatch.setattr(panel.variation, "NOISE", 1e-12)
    e = made_up(1)
    axes = np.linalg.svd(e - e.mean(axis=0), full_matrices=False)[2]
    rotated = e @ axes.T  # the genes are now the components
    variation = of(rotated, "total")
    assert variation.explained(range(3)).share == pytest.approx(variation.bound(3))


@pytest.mark.parametrize("target", ["pc", "total"])
def test_a_copy_of_a_gene_adds_what_a_second_measurement_does(target):
    """Two measurements of a gene are one with half the noise."""
    e = made_up(2)
    twice = of(np.column_stack([e, e[:, 0]]), target).explained([0])
    cells = len(e)
    halved = np.sqrt(NOISE * cells * e.var(axis=0).max() / 2)
    y, x = targets_of(np.column_stack([e, e[:, 0]]), target), e[:, 0] - e[:, 0].mean()
    explained = ((x @ y) ** 2).sum() / (x @ x + halved**2) / (y**2).sum()
    assert twice.gains[12] > 0
    assert twice.with_gene(12).share == pytest.approx(explained, abs=1e-9)


def test_a_gene_is_taken_once():
    explained = of(made_up(2), "pc").explained([0, 1])
    assert explained.with_gene(0).share == explained.share
    assert explained.with_gene(0).with_gene(3).share == explained.with_gene(3).share


def test_a_gene_that_hardly_varies_explains_little():
    """It is a component but for its scale, which noise hides."""
    e = made_up(2)
    component = targets_of(e, "pc")[:, 0]
    gains = of(np.column_stack([e, 0.01 * component]), "pc").explained().gains
    assert gains[12] < 0.01 * gains[:12].max()


@pytest.mark.parametrize(
    "genes", [[3, 0, 5, 9], [3, 0, 5, 12], [3, 13, 5, 9]], ids=["plain", "a gene and its copy", "one without variance"]
)
@pytest.mark.parametrize("target", ["pc", "total"])
def test_what_is_lost_without_a_gene_equals_a_regression_without_it(target, genes):
    e = made_up(3)
    e = np.column_stack([e, 3 * e[:, 0], np.ones(len(e))])
    loss, gains = without_each(of(e, target), np.array(genes))
    for place, gene in enumerate(genes):
        others = [other for other in genes if other != gene]
        share = by_least_squares(e, target, others)
        assert loss[place] == pytest.approx(by_least_squares(e, target, genes) - share, abs=1e-9)
        for other in set(range(14)) - set(others):
            whole = by_least_squares(e, target, [*others, other])
            assert gains[place, other] == pytest.approx(whole - share, abs=1e-9)


def merit(data, genes, weight, tau, target="pc"):
    """J by plain loops: pairs of classes for F, least squares over the cells for V."""
    e = expression(data)
    f = []
    for panel_genes in (genes, range(e.shape[1])):
        total = 0.0
        for a in range(data.n_groups):
            for b in range(a):
                one, other = e[data.group == a], e[data.group == b]
                s = (one.mean(axis=0) - other.mean(axis=0)) ** 2 / (one.var(axis=0) + other.var(axis=0) + 0.05)
                total += 1 - np.exp(-s[list(panel_genes)].sum() / tau)
        f.append(total)
    return (1 - weight) * f[0] / f[1] + weight * by_least_squares(e, target, genes)


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "target"), [(0.1, "pc"), (0.5, "total"), (1.0, "pc")])
def test_the_choice_is_greedy_in_j(data, weight, target):
    """Every gene is the one that raises J most, computed anew from the cells for every gene."""
    found = designed(data, n_genes=5, variation=weight, variation_target=target, exclude_families=())
    for n in range(5):
        so_far = found.panel[:n].tolist()
        after = [merit(data, {*so_far, gene}, weight, 2.0, target) for gene in range(len(data.names))]
        assert after[found.panel[n]] == pytest.approx(max(after), abs=1e-6)


@pytest.mark.parametrize("options", [{}, *CONSTRAINTS.values()], ids=["plain", *CONSTRAINTS])
def test_a_weight_of_zero_is_todays_panel(data, options):
    today, zero = designed(data, n_genes=8, **options), designed(data, n_genes=8, variation=0, **options)
    assert zero.problem.variation is None
    for name, table in tables(today).items():
        pd.testing.assert_frame_equal(tables(zero)[name], table, check_exact=True)


@pytest.mark.parametrize("options", CONSTRAINTS.values(), ids=CONSTRAINTS)
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_constraints_are_kept(data, options, weight):
    found = designed(data, n_genes=8, variation=weight, **options)
    assert len(set(names(found))) == 8
    caps = tables(found)["caps"]
    least = caps["constraint"] == "genes at least"
    assert (np.where(least, caps["limit"] - caps["used"], caps["used"] - caps["limit"]) <= 1e-9).all()
    assert set(options.get("include", ())) <= set(names(found))
    assert not set(options.get("extend", ())) & set(names(found))
    if "min_markers" in options:
        assert (tables(found)["certificate"]["found"] >= 2).all()
    if "priorities" in options:
        assert "NOISE10" in names(found)
        assert "MARKER0X" not in names(found)


@pytest.mark.parametrize("weight", [0.1, 1.0])
def test_a_shorter_nested_panel_is_a_prefix(data, weight):
    long = names(designed(data, n_genes=20, nested=True, variation=weight))
    assert all(names(designed(data, n_genes=n, nested=True, variation=weight)) == long[:n] for n in (1, 7, 16))


@pytest.mark.slow
def test_both_curves_are_reported(data):
    e = expression(data)
    found = designed(data, n_genes=6, variation=0.4, extend=["NOISE20"], exclude_families=())
    reported = tables(found)
    existing = found.problem.found.existing.tolist()
    for n, row in enumerate(reported["curve"].itertuples()):
        share = by_least_squares(e, "pc", [*existing, *found.panel[:n]])
        assert row.variation == pytest.approx(share, abs=1e-5)
        assert row.variation <= row.variation_bound <= 1
        assert row.resolution <= row.bound + 1e-9
    assert reported["genes"]["variation"].tolist() == reported["curve"]["variation"].tolist()[1:]
    assert found.merit == pytest.approx(merit(data, found.whole, 0.4, 2.1), abs=1e-5)


def test_a_gradient_inside_classes_is_kept(adata, rng):
    """Ten genes fall along a gradient that all classes share; they separate no class as well as a marker does."""
    dense = adata.X.toarray()
    dense[:, 40:50] = rng.poisson(10 * rng.uniform(0, 1, (adata.n_obs, 1)), (adata.n_obs, 10))
    adata.X = type(adata.X)(dense)
    data = read(adata, {"groupby": "cell_type"})
    plain, kept = designed(data, n_genes=6), designed(data, n_genes=6, variation=0.7)
    along = set(adata.var_names[40:50])
    assert not along & set(names(plain))
    assert along & set(names(kept))
    share = [by_least_squares(expression(data), "pc", found.panel) for found in (plain, kept)]
    assert share[1] > share[0]


def test_genes_outside_the_pool_count_for_the_types_only(data, monkeypatch):
    monkeypatch.setattr(covariance, "N_VARIABLE", 6)
    monkeypatch.setattr(covariance, "N_SEPARATING", 4)
    found = designed(data, n_genes=30, variation=0.5)
    place = found.problem.variation.place
    assert 6 <= (place >= 0).sum() <= 10
    assert (found.problem.variation.explained().gains[place < 0] == 0).all()
    assert len(set(found.panel)) == 30
    assert set(np.flatnonzero(place >= 0)) <= set(found.panel)


def test_the_pool_is_the_most_variable_genes_and_those_that_separate(data, monkeypatch):
    monkeypatch.setattr(covariance, "N_VARIABLE", 7)
    monkeypatch.setattr(covariance, "N_SEPARATING", 3)
    found = designed(data, n_genes=5, variation=0.5, include=["NOISE40"])
    variable = np.argsort(-expression(data).var(axis=0))[:7]
    single = np.argsort(-found.objective.with_tau(30.0).gains(found.objective.depth()))[:3]
    number = data.names.tolist().index("NOISE40")
    assert set(np.flatnonzero(found.problem.variation.place >= 0)) == {*variable, *single, number}


def test_differences_between_batches_are_no_variation(adata, rng, monkeypatch):
    """The offsets of a regression on class and batch are taken out, and a shift of a batch changes nothing."""
    monkeypatch.setattr(panel.variation, "NOISE", 1e-12)
    adata.obs["batch"] = pd.Categorical(rng.choice(["one", "two"], adata.n_obs))
    e, found = adata.X.log1p().toarray().astype(float), []
    later = (adata.obs["batch"] == "two").to_numpy()[:, None]
    for matrix in (e, e + later * rng.uniform(0, 2, adata.n_vars)):
        adata.X = matrix
        data = read(adata, {"groupby": "cell_type", "batch_key": "batch", "normalize": False})
        found.append(designed(data, n_genes=6, variation=0.5).problem.variation.covariance)
    np.testing.assert_allclose(*found, atol=1e-5)
    known = np.column_stack([pd.get_dummies(adata.obs["cell_type"]).to_numpy(float), later])
    offset = np.linalg.lstsq(known, e, rcond=None)[0][-1]
    np.testing.assert_allclose(found[0], np.cov((e - later * offset).T, bias=True), atol=1e-5)


def test_every_container_gives_the_same_panel(hold, adata):
    group = adata.obs["cell_type"].cat.codes.to_numpy()
    groups, every = adata.obs["cell_type"].cat.categories.to_numpy(), adata.var_names.to_numpy()
    held = Dataset(hold(adata.X), group, groups, every, every, device=hold.device)
    plain = Dataset(adata.X, group, groups, every, every)
    for target in ("pc", "total"):
        options = {"n_genes": 12, "variation": 0.3, "variation_target": target}
        assert names(designed(held, **options)) == names(designed(plain, **options))


def test_cells_without_a_class_do_not_count(adata):
    fewer = read(adata[:200].copy(), {"groupby": "cell_type"})
    code = fewer.group
    whole = read(adata, {"groupby": "cell_type"})
    left_out = replace(whole, group=np.where(np.arange(adata.n_obs) < 200, np.append(code, [0] * 40), -1))
    found = [designed(data, n_genes=5, variation=0.5) for data in (fewer, left_out)]
    np.testing.assert_allclose(*(one.problem.variation.covariance for one in found), atol=1e-12)


def test_the_stage_is_kept(data, tmp_path):
    from smash_gpu.data.stages import Work

    levels = [panel.Level("cell_type", data.group, data.groups)]
    kept = replace(data, work=Work(tmp_path))
    once, again = (prepare(kept, levels, panel.Request(n_genes=5, variation=0.2)) for _ in range(2))
    assert any(file.name.startswith("moments-of-a-panel") for file in tmp_path.rglob("*.npz"))
    np.testing.assert_array_equal(once.variation.covariance, again.variation.covariance)
