"""The quality benchmark: every method one kind, no look at held-out cells, a line for everything that was tried."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
from cells import PLANTED, planted
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks import quality, quality_table
from benchmarks.baselines import METHODS, Method
from benchmarks.baselines.cells import annotated, scores_of
from smash_gpu.annotated.read import read
from smash_gpu.data.dataset import Dataset

BLIND = ("random", "hvg_seurat", "hvg_seurat_v3")  # know no groups
SLOW = ("spapros", "nsforest")
FAST = [name for name in METHODS if name not in SLOW]
N_GENES = 12
SCHEMA = {"benchmark", "set", "groupby", "seed", "method", "k", "nested", "threads", "status", "message", "n_genes",
          "n_groups", "seconds", "cpu_seconds", "date", "machine", "versions"}  # fmt: skip


@pytest.fixture(autouse=True)
def thread_limits_stay_here():
    """The benchmark limits threads by environment variables, which other tests shall not inherit."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def data():
    """240 cells, 60 genes, three groups with three planted markers each."""
    adata = planted(np.random.default_rng(0))
    return read(adata, {"groupby": "cell_type", "device": "cpu"})


@pytest.fixture(scope="module")
def split(data):
    return quality.held_out(data, seed=0)


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def chosen(name, data, n_genes=N_GENES):
    """The method's genes; where its package is missing, its report of that is what there is to test."""
    method = METHODS[name]
    if method.missing:
        for _, nothing in quality.selections(method, data, seed=0, limit=5):
            assert (nothing.status, len(nothing.genes)) == ("not installed", 0)
            assert all(module in nothing.message for module in method.missing)
        pytest.skip(f"{name} is not installed here, and says so: {nothing.message}")
    return method.choose(data, n_genes, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_a_method_gives_different_genes_that_exist_and_finds_planted_markers(name, data, split):
    genes = chosen(name, quality.training(data, split))
    assert len(set(genes.tolist())) == len(genes) == N_GENES
    assert ((genes >= 0) & (genes < len(data.names))).all()
    found = [str(data.names[g]) for g in genes[: 3 * PLANTED] if str(data.names[g]).startswith("MARKER")]
    if name not in BLIND:
        assert {gene[len("MARKER")] for gene in found} == {"0", "1", "2"}, "a group has none of its markers"
        assert len(found) >= 2 * PLANTED


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_counts_of_held_out_cells_change_no_selection(name, data, split):
    counts = data.matrix.toarray()
    held_out = data.cells[split.test]
    counts[held_out] = np.random.default_rng(1).permuted(counts[held_out], axis=1) * 7 + 1
    other = Dataset(**{**vars_of(data), "matrix": sparse.csr_matrix(counts)})
    before, after = (chosen(name, quality.training(d, split)) for d in (data, other))
    np.testing.assert_array_equal(before, after)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FAST if METHODS[name].nested and name not in ("brf", "xgboost")])
def test_a_nested_method_begins_a_long_list_with_the_short_one(name, data):
    np.testing.assert_array_equal(chosen(name, data, N_GENES)[:5], chosen(name, data, 5))


def test_random_genes_have_the_mean_expression_of_wilcoxon_s(data):
    mean = data.stats.pooled.mean[0]
    drawn, reference = mean[chosen("random", data, 20)], mean[chosen("wilcoxon", data, 20)]
    assert np.corrcoef(drawn, reference)[0, 1] > 0.5
    assert set(chosen("random", data, len(mean))) == set(range(len(mean)))


def test_cells_for_scanpy_hold_the_expression_that_our_own_models_see(data, split):
    part = quality.training(data, split)
    genes = np.arange(len(data.names))
    np.testing.assert_allclose(annotated(part).X.toarray(), part.host_expression(genes), rtol=1e-5)
    assert annotated(part).n_obs == len(split.train)


def test_scores_are_put_back_in_the_order_of_the_genes(data):
    names = data.names[[4, 2]]
    found = {"names": pd.DataFrame({str(c): names for c in range(3)}), "scores": {str(c): [2.0, c] for c in range(3)}}
    scores = scores_of(found, data)
    assert scores[:, 4].tolist() == [2, 2, 2]
    assert scores[:, 2].tolist() == [0, 1, 2]
    assert np.isnan(np.delete(scores, [2, 4], axis=1)).all()


def test_a_missing_package_is_a_result(data):
    method = Method(("simple", "t_test"), ("no_such_package", "no_such.module"))
    assert method.missing == ["no_such_package", "no_such.module"]
    for k, nothing in quality.selections(method, data, seed=0, limit=5):
        row = quality.judged(data, quality.held_out(data, 0), nothing, k)
        assert (row["status"], row["n_genes"]) == ("not installed", 0)
        assert "no_such_package" in row["message"]
        assert "misclassification" not in row


class Broken:
    """Methods that go wrong in each of the ways that are reported."""

    missing, modules, place, nested = [], (), ("simple", "t_test"), True

    def __init__(self, choose):
        self.choose = choose


def forever(data, n_genes, seed):
    while True:
        pass


def fails(data, n_genes, seed):
    raise RuntimeError("the peer's own words")


@pytest.mark.parametrize(
    ("choose", "status", "message"),
    [
        (forever, "time limit", "over 0 CPU seconds"),
        (fails, "failed", "RuntimeError: the peer's own words"),
        (lambda data, n, seed: [3, 3], "failed", "twice"),
        (lambda data, n, seed: [10**6], "failed", "does not exist"),
        (lambda data, n, seed: list(range(n + 1)), "failed", "too long"),
        (lambda data, n, seed: list(range(5)), "too few genes", ""),
    ],
)
def test_whatever_goes_wrong_is_a_line(choose, status, message, data, split):
    found = quality.limited(Broken(choose), data, 10, 0, 0 if choose is forever else 5)
    row = quality.judged(data, split, found, 10)
    assert row["status"] == status
    assert message in row["message"]


@pytest.fixture
def folder(tmp_path):
    planted(np.random.default_rng(0), n_genes=110).write_h5ad(tmp_path / "kang_muscat.h5ad")
    return tmp_path


def run(folder, *more):
    quality.read.cache_clear()
    arguments = ["--data", folder, "--json", folder / "q.jsonl", "--sets", "kang_muscat", "--seeds", 0, *more]
    quality.main([str(a) for a in arguments])
    return [json.loads(line) for line in (folder / "q.jsonl").read_text().splitlines()]


def test_a_run_writes_a_line_a_budget_and_is_not_repeated(folder, capsys):
    pytest.importorskip("scanpy")
    rows = run(folder, "--methods", "rf", "logreg", "--panels", folder / "p.jsonl")
    assert [(row["method"], row["k"]) for row in rows] == [(m, k) for m in ("rf", "logreg") for k in (10, 30, 100)]
    for row in rows:
        assert set(row) >= SCHEMA
        assert (row["set"], row["groupby"], row["seed"]) == ("kang_muscat", "cell_type", 0)
        assert (row["status"] == "ok") == (row["n_genes"] == row["k"])
        assert row.get("genes", []) == [] or len(row["genes"]) == row["k"]
        for name in ("misclassification", "macro_1_minus_recall", "f1_macro", "logreg_misclassification", "genes"):
            assert (name in row) == (row["status"] == "ok")
            assert name == "genes" or 0 <= row.get(name, 0) <= 1
        assert 0 <= row["cpu_seconds"] < 60
    panels = [json.loads(line) for line in (folder / "p.jsonl").read_text().splitlines()]
    assert [len(p["genes"]) for p in panels if p["method"] == "logreg"] == [100, 100, 100]
    assert run(folder, "--methods", "rf", "logreg") == rows
    assert "| logreg | 1/1 |" in capsys.readouterr().out


def test_classes_below_ten_cells_and_unassigned_cells_are_left_out(tmp_path):
    adata = planted(np.random.default_rng(0))
    labels = adata.obs["cell_type"].astype(str).to_numpy().copy()
    labels[:9], labels[9:60] = "rare", "(none)"
    adata.obs["cell_type"] = pd.Categorical(labels)
    adata.write_h5ad(tmp_path / "some.h5ad")
    with pytest.warns(UserWarning, match="rare"):
        data = quality.read(tmp_path, "some", "cell_type")
    assert sorted(data.groups) == ["A", "B / b", "CD4+ T"]
    assert len(data.cells) == adata.n_obs - 60


def line(method, unit, seed, m, status="ok"):
    where = {"set": unit, "groupby": "cell_type", "seed": seed, "method": method, "k": 10}
    metrics = {"misclassification": m, "macro_1_minus_recall": m, "f1_macro": 1.0}
    return where | {"status": status, "message": "", "cpu_seconds": 2.0} | metrics


def test_the_table_pairs_units_with_wilcoxon_and_keeps_what_has_no_result(tmp_path):
    rows = [line("wilcoxon", u, s, 0.10 + 0.02 * s) for u in "ab" for s in (0, 1)]
    rows += [line("better", "a", s, 0.05 + 0.02 * s) for s in (0, 1)]
    rows += [line("better", "b", s, 0.09 + 0.02 * s) for s in (0, 1)]
    rows += [line("half", "a", 0, 0.2), line("half", "a", 1, 0.2), line("half", "b", 0, 0.2)]
    rows.append(line("half", "b", 1, None, status="failed"))
    rows += [line("better_paper", u, s, m + 0.02 * s) for u, m in (("a", 0.08), ("b", 0.14)) for s in (0, 1)]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in [line("better", "a", 0, 0.9), *rows]))
    text = quality_table.table(path)
    methods, against_wilcoxon, against_paper, *_ = text.split("\n\n")
    assert "| better | -3.0 (2.0) | – | – | 2.0 |" in against_wilcoxon
    assert "| better | 2/2 | 8.0 |" in methods
    assert "| half (incomplete) | 1/2 | 20.0 (1 of 2 units) |" in methods
    assert "-3.0 (2.0)" in next(r for r in methods.splitlines() if r.startswith("| better |"))
    assert "| better | 2 | -4.0 (1.0) |" in against_paper
    assert "| half | failed | 1 |" in text


def test_the_table_says_which_classifier_and_what_panels_of_two_seeds_share(tmp_path):
    def judged(method, unit, seed, knn, logreg, genes):
        return line(method, unit, seed, knn) | {"logreg_misclassification": logreg, "genes": genes}

    rows = [judged("wilcoxon", u, s, 0.10, 0.08, ["G1", f"W{s}"]) for u in "ab" for s in (31, 32)]
    rows += [judged("rf", u, s, 0.09, m, ["G1", "G2"]) for u, m in (("a", 0.09), ("b", 0.12)) for s in (31, 32)]
    rows += [judged("rf_inverse_pca", u, s, 0.10, 0.10, ["G1", "G2"]) for u in "ab" for s in (31, 32)]
    rows += [line("rf", "a", 0, 0.99)]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    _, against_wilcoxon, with_inverse_pca, *_ = quality_table.table(path, [31, 32]).split("\n\n")
    assert "| rf | -1.0 (0.0) | +2.5 (1.5) | 100 % | 2.0 |" in against_wilcoxon
    assert "| wilcoxon | +0.0 (0.0) | +0.0 (0.0) | 50 % | 2.0 |" in against_wilcoxon
    assert "| rf | 2 | -1.0 (0.0) | +0.5 (1.5) |" in with_inverse_pca
    assert "LR: defaults − with inverse PCA" in with_inverse_pca


def vars_of(data):
    return {name: getattr(data, name) for name in data.__dataclass_fields__}
