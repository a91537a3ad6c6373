"""tl.evaluate on several lists: curves, order of genes and cells, seeds, conditions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.lists import MIXED, NOISE, data_of, judged, values
from cells import SLOW_ZARR

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.data import splits
from smash_gpu.data.splits import Split
from smash_gpu.evaluation import Judging
from smash_gpu.selection import steps

FEW_TREES = {"n_estimators": 10}


def test_lists_side_by_side_are_what_they_are_alone(adata):
    both = judged(adata, genes={"a / b": MIXED, "noise": NOISE[:6]}, n_random=2, thin=0.4, dropout=0.3)
    for name, genes in (("a / b", MIXED), ("noise", NOISE[:6])):
        alone = judged(adata, genes={name: genes}, n_random=2, thin=0.4, dropout=0.3)
        pd.testing.assert_frame_equal(both[both["genes"] == name].reset_index(drop=True), alone, check_like=True)


def test_an_index_of_names_is_a_list(adata):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    index = judged(adata, genes=pd.Index(MIXED))
    pd.testing.assert_frame_equal(index, judged(adata, genes=np.array(MIXED, dtype=object)))
    pd.testing.assert_frame_equal(index, judged(adata, genes=MIXED))


def test_a_learning_curve_judges_prefixes(adata):
    curve = judged(adata, genes=MIXED, n_genes=[2, 5, 6])
    for n in (2, 5, 6):
        alone = judged(adata, genes=MIXED[:n])
        np.testing.assert_array_equal(values(curve, n_genes=n), values(alone))


@pytest.mark.slow
def test_the_curve_is_of_intact_cells_and_one_classifier_list_by_list(adata):
    table = judged(
        adata, genes={"z": MIXED, "a": NOISE[:6]}, n_genes=[6, 2, 4], thin=0.5, classifier=["logreg", "knn"], n_random=1
    )  # fmt: skip
    curve = smg.get.learning_curve(adata, "mcc", classifier="knn")
    assert curve["n_genes"].tolist() == [2, 4, 6] * 4
    assert curve["genes"].tolist() == (["z"] * 3 + ["a"] * 3) * 2
    assert curve["is_random"].tolist() == [False] * 6 + [True] * 6
    rows = table[(table["genes"] == "a") & (table["n_genes"] == 4) & (table["random"] == 0) & (table["thin"] == 1)]
    expected = rows[rows["classifier"] == "knn"]["mcc"].mean()
    assert curve.set_index(["genes", "n_genes", "is_random"]).loc[("a", 4, False), "mean"] == pytest.approx(expected)
    assert smg.get.learning_curve(adata)["classifier"].unique().tolist() == ["logreg"]
    with pytest.raises(KeyError, match="no results for classifier='forest'; available: logreg, knn"):
        smg.get.learning_curve(adata, classifier="forest")


def test_a_selection_runs_once_a_split_however_long_the_curve_and_gives_prefixes(adata, monkeypatch):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES)
    seen, honest = [], steps.select
    monkeypatch.setattr(
        "smash_gpu.selection.marker_panel.select", lambda *a, **how: seen.append(a) or honest(*a, **how)
    )
    curve = judged(adata, n_genes=[3, 6, 9], n_splits=2)
    assert len(seen) == 2
    assert curve["n_genes"].tolist() == [3, 6, 9] * 2
    panels = smg.get.evaluation_panels(adata)
    assert panels.groupby("split").size().tolist() == [9, 9]
    shorter = judged(adata, n_genes=3, n_splits=2)
    np.testing.assert_array_equal(values(curve, n_genes=3), values(shorter))


def test_a_function_of_ones_own_sees_the_training_cells_only(adata):
    seen = []

    def choose(cells, n_genes):
        seen.append((cells.obs_names.tolist(), n_genes))
        return MIXED[:n_genes]

    table = judged(adata, genes={"mine": choose, "list": MIXED[:4]}, n_genes=[2, 4], n_splits=2, random_state=3)
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    parts = list(splits.repeated(codes, n_splits=2, test_fraction=0.3, random_state=3))
    assert seen == [(adata.obs_names[part.train].tolist(), 4) for part in parts]
    np.testing.assert_array_equal(values(table, genes="mine"), values(table, genes="list"))
    with pytest.raises(ValueError, match=r"genes\['short'\] returned 2 different genes; 4 are needed"):
        judged(adata, genes={"short": lambda cells, n: ["NOISE20", "NOISE21", "NOISE20"]}, n_genes=4)


@pytest.mark.slow
def test_nothing_depends_on_the_order_of_genes_in_the_list_or_the_matrix(adata, rng, monkeypatch):
    monkeypatch.setattr("smash_gpu.evaluation.classifiers.N_TREES", 10)
    options = {"n_splits": 1, "thin": 0.5, "dropout": 0.2, "n_random": 1, "classifier": ["knn", "forest"]}
    first = judged(adata, genes=MIXED, **options)
    pd.testing.assert_frame_equal(judged(adata, genes=MIXED[::-1], **options), first)
    shuffled = adata[:, rng.permutation(adata.n_vars)].copy()
    pd.testing.assert_frame_equal(judged(shuffled, genes=MIXED, **options), first)


def test_one_split_and_an_unsorted_list_read_the_right_columns(adata):
    table = judged(adata, genes=MIXED, protocol="paper")
    data = data_of(adata)
    split = next(splits.repeated(data.labels, n_splits=1, test_fraction=0.3, random_state=42))
    X = data.host_expression(np.flatnonzero(adata.var_names.isin(MIXED)))
    predicted = evaluation.predict(X, data.labels, split, scale_on_all=True)
    assert values(table)[0].tolist() == list(evaluation.metrics_of_labels(data.labels[split.test], predicted).values())


def test_nothing_depends_on_the_order_of_cells_but_the_split(adata, rng):
    data, genes = data_of(adata), np.arange(4, 12)
    order = rng.permutation(240)
    place = np.argsort(order)
    split = Split(np.arange(160), np.arange(160, 240))
    moved = Split(np.sort(place[split.train]), np.sort(place[split.test]))
    shuffled = data_of(adata[order].copy())
    for classifier in ("knn", "logreg"):
        how = Judging((classifier,))
        found = evaluation.evaluate(data, lambda _: genes, [split], how=how)
        again = evaluation.evaluate(shuffled, lambda _: genes, [moved], how=how)
        np.testing.assert_array_equal(found.confusions, again.confusions)


def test_the_grid_of_conditions_is_complete(adata):
    table = judged(adata, genes=MIXED, thin=[0.5], dropout=[0.1, 0.2], n_splits=1)
    assert list(zip(table["thin"], table["dropout"], strict=True)) == [
        (1, 0), (1, 0.1), (1, 0.2), (0.5, 0), (0.5, 0.1), (0.5, 0.2)
    ]  # fmt: skip


def test_seeds_repeat_the_splits_with_the_following_seeds(adata):
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    assert len(judged(adata, genes=MIXED, n_splits=2, n_seeds=3)) == 6
    samples = adata.obs["sample"].to_numpy()
    twice = list(splits.by_sample(codes, samples, n_splits=2, n_seeds=2, random_state=5))
    again = [s for seed in (5, 6) for s in splits.by_sample(codes, samples, n_splits=2, random_state=seed)]
    for found, expected in zip(twice, again, strict=True):
        np.testing.assert_array_equal(found.test, expected.test)
    assert len(judged(adata, genes=MIXED, n_splits=2, n_seeds=3, sample_key="sample")) == 6
    assert len(judged(adata, genes=MIXED, n_splits=9, n_seeds=3, sample_key="sample")) == 4


def test_unequal_budgets_are_named(adata):
    with pytest.warns(UserWarning, match=r"differ in length \(a 6, b 3\).*n_genes=3"):
        table = judged(adata, genes={"a": MIXED, "b": MIXED[:3]})
    apart = smg.get.differences(adata, "mcc", reference="a")
    assert (apart["genes"].tolist(), apart["n_genes"].tolist()) == (["b"], [3])
    a, b = (table[table["genes"] == name]["mcc"].to_numpy() for name in "ab")
    assert apart["mean"].item() == pytest.approx((b - a).mean())


def test_a_list_that_is_shorter_than_a_size_is_judged_whole_there_with_a_note(adata):
    how = {"n_random": 1, "n_splits": 2, "classifier": ["knn", "logreg"]}
    with pytest.warns(UserWarning, match=r"shorter than n_genes is judged whole there: b has 3 of 6 genes\."):
        table = judged(adata, genes={"a": MIXED, "b": MIXED[:3]}, n_genes=[2, 4, 6], **how)
    used = table.groupby(["genes", "n_genes"])["n_used"].unique().explode().to_dict()
    assert used == {("a", 2): 2, ("a", 4): 4, ("a", 6): 6, ("b", 2): 2, ("b", 4): 3, ("b", 6): 3}
    whole = judged(adata, genes={"b": MIXED[:3]}, **how)
    for n in (4, 6):
        np.testing.assert_array_equal(values(table, genes="b", n_genes=n), values(whole))
    with pytest.warns(UserWarning, match="list has 3 of 100 genes"):
        longer = judged(adata, genes=MIXED[:3], n_genes=100, **how)
    np.testing.assert_array_equal(values(longer), values(whole))
    assert smg.get.evaluation(adata).loc["n_genes", "mean"] == 3


def test_a_short_list_is_at_every_size_in_the_tables_and_the_figure(adata):
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    with pytest.warns(UserWarning, match="b has 3 of 6 genes"):
        judged(adata, genes={"a": MIXED, "b": MIXED[:3]}, n_genes=[2, 4, 6], n_random=1, n_splits=2)
    curve = smg.get.learning_curve(adata)
    assert curve["n_genes"].tolist() == [2, 4, 6] * 4
    assert curve[curve["genes"] == "b"]["n_used"].tolist() == [2, 3, 3] * 2
    apart = smg.get.differences(adata, "mcc", reference="a")
    assert apart[(apart["genes"] == "b") & ~apart["is_random"]]["n_genes"].tolist() == [2, 4, 6]
    ax = smg.pl.learning_curve(adata)
    legend = [t.get_text() for t in ax.get_legend().get_texts()]
    assert legend == ["a", "b (3 genes)", "random panels"]
    assert [len(drawn.lines[0].get_xdata()) for drawn in ax.containers] == [3] * 2


BAD = {
    "an unknown classifier": ({"classifier": "svm"}, ValueError, "'svm'.*knn, logreg, forest"),
    "no genes": ({"n_genes": 0}, ValueError, "n_genes=0"),
    "no seeds": ({"n_seeds": 0}, ValueError, "n_seeds=0"),
    "thinning to more": ({"thin": 1.5}, ValueError, "thin=1.5"),
    "every gene fails": ({"dropout": 1.0}, ValueError, "dropout=1.0"),
    "fewer than no panels": ({"n_random": -1}, ValueError, "n_random=-1"),
    "no lists": ({"genes": {}}, ValueError, "no list"),
    "an absent gene in one of two lists": ({"genes": {"a": MIXED, "b": ["X"]}}, KeyError, r"genes\['b'\].*'X'"),
}


@pytest.mark.parametrize(("options", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_named_and_nothing_is_written(adata, options, kind, message):
    with pytest.raises(kind, match=message):
        smg.tl.evaluate(adata, "cell_type", **{"genes": MIXED} | options)
    assert not adata.uns


@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_everything_survives_a_file(adata, tmp_path, suffix):
    import anndata as ad

    judged(adata, genes={"NK/T list": MIXED, "b": NOISE[:6]}, n_genes=[2, 6], n_random=1, thin=0.5)
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    again = getattr(ad, f"read_{suffix}")(path)
    for function in (smg.get.comparison, smg.get.differences, smg.get.group_metrics, smg.get.unresolved_pairs,
                     smg.get.learning_curve, smg.get.evaluation_splits, smg.get.evaluation_panels):  # fmt: skip
        pd.testing.assert_frame_equal(function(again), function(adata), check_dtype=False, check_categorical=False)


def test_names_and_symbols_are_found_in_the_order_of_the_list(adata):
    adata.var["symbol"] = [f"s{i // 2}" for i in range(60)]
    data = data_of(adata, gene_symbols="symbol")
    with pytest.warns(UserWarning, match=r"s3: MARKER2X, MARKER2Y; s2: MARKER1Y, MARKER1Z.*Name the id"):
        chosen = smg.tl._choosers.numbers(["s3", "MARKER0X", "s2", "MARKER0X"], data, "genes")
    assert chosen.tolist() == [6, 0, 4]


def test_a_list_of_n_names_has_n_places(adata):
    """A symbol that two genes share takes one place, also of the first ``n_genes``."""
    adata.var["symbol"] = ["TWICE", "TWICE", *adata.var_names[2:]]
    with pytest.warns(UserWarning, match=r"genes: a symbol stands for several.*TWICE: MARKER0X, MARKER0Y"):
        table = judged(adata, genes=["TWICE", "MARKER1X"], n_genes=2, gene_symbols="symbol")
    assert smg.get.evaluation_panels(adata)["name"].unique().tolist() == ["MARKER0X", "MARKER1X"]
    np.testing.assert_array_equal(values(table), values(judged(adata, genes=["MARKER0X", "MARKER1X"])))


def test_genes_that_the_data_lack_are_left_out_counted_and_named(adata):
    absent = [f"ABSENT{i}" for i in range(12)]
    with pytest.warns(UserWarning, match=rf"genes\['b'\]: 12 of 18 genes left out.*{', '.join(absent)}\."):
        table = judged(adata, genes={"a": MIXED, "b": absent + MIXED})
    np.testing.assert_array_equal(values(table, genes="b"), values(table, genes="a"))
    with pytest.raises(KeyError, match=r"genes\['b'\]: .*'ABSENT0'.*'ABSENT11'"):
        judged(adata, genes={"a": MIXED, "b": absent + MIXED}, missing="raise")


KINDS = {
    "a Series": pd.Series,
    "an Index": pd.Index,
    "an array": np.array,
    "a table": lambda genes: pd.DataFrame({"score": range(len(genes)), "Gene": genes}),
    "scanpy's table": lambda genes: pd.DataFrame({"group": "B", "names": genes, "scores": 1.5}),
    "the rows of var": lambda genes: pd.DataFrame({"n_cells": 5}, index=genes),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_list_may_be_of_any_kind(adata, kind):
    alone = judged(adata, genes=MIXED)
    pd.testing.assert_frame_equal(judged(adata, genes=kind(MIXED)), alone)
    smg.tl.spapros_metrics(adata, "cell_type", genes=kind(MIXED), metrics=["gene_corr"])
    smg.tl.nsforest_metrics(adata, "cell_type", markers={"A": kind(MIXED)})
    assert smg.get.nsforest_metrics(adata)["n_markers"].tolist() == [6]
    smg.pp.filter_genes(adata, "cell_type", min_fraction=0.0, exclude=kind(MIXED))
    assert sorted(adata.var_names[~adata.var["smash_candidate"]]) == sorted(MIXED)


def test_a_table_without_genes_is_answered_with_its_columns(adata):
    with pytest.raises(ValueError, match=r"genes: the table has the columns group, score; none of them is called name"):
        judged(adata, genes=pd.DataFrame({"group": ["B"], "score": [1.0]}))


def test_a_list_may_be_a_file(adata, tmp_path):
    (tmp_path / "panel.csv").write_text("Genes;Ensembl_ID\n" + "".join(f"{gene};\n" for gene in MIXED))
    pd.testing.assert_frame_equal(judged(adata, genes=tmp_path / "panel.csv"), judged(adata, genes=MIXED))


def test_a_selection_with_a_list_by_id_can_be_repeated(adata):
    """The list holds a name that the data lack, and the id; what is noted are the names of the data."""
    adata.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    table = pd.DataFrame(
        {"symbol": ["old name", "NOISE21"], "ensembl_id": adata.var["gene_ids"][["NOISE20", "NOISE21"]]}
    )
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, filters={"exclude": MIXED[:1], "keep": table})
    assert adata.var["smash_candidate"][["NOISE20", "NOISE21", "MARKER0X"]].tolist() == [True, True, False]
    noted = smg.annotated.slots.recorded(adata, "smash", "filters")
    assert (noted["keep"], noted["exclude"]) == (("NOISE20", "NOISE21"), ("MARKER0X",))
    smg.tl.evaluate(adata, "cell_type", n_genes=3, n_splits=1)
    smg.pp.filter_genes(adata, "cell_type", keep=table)
    smg.pp.inverse_pca(adata, n_top=1, variance=0.1, keep=table)
    assert smg.annotated.slots.recorded(adata, "smash", "inverse_pca")["keep"] == ("NOISE20", "NOISE21")
