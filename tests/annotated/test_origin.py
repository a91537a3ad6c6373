"""Results know the cells, genes and labels that they were made from, and say what has changed since."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.slots import FEW_TREES
from cells import SLOW_ZARR, in_dask, planted

import smash_gpu as smg
from smash_gpu.annotated import origin, slots
from smash_gpu.cli import main

GENES = ["MARKER0X", "MARKER1X", "MARKER2X"]
SINCE = "of other data: .* since. Run tl"
pytestmark = pytest.mark.filterwarnings(
    "ignore:found fewer than", "ignore:.*Ensembl ids", "ignore:Writing zarr v2", "ignore:the lists differ"
)


def all_results(adata):
    smg.tl.smash(adata, "cell_type", n_top=2, model_options=FEW_TREES)
    smg.tl.evaluate(adata, "cell_type", genes={"a": GENES, "b": GENES[:2]}, n_splits=2)
    smg.tl.nsforest_metrics(adata, "cell_type")
    smg.tl.spapros_metrics(adata, "cell_type", genes=GENES, metrics=["gene_corr"])
    smg.tl.stability(adata, "cell_type", n_genes=3, n_resamples=2, choose=lambda *_: GENES)
    smg.tl.panel(adata, ["cell_type", "sample"], n_genes=3)
    smg.tl.validate(adata, "cell_type", genes=GENES)
    adata.obsm["spatial"] = np.arange(2 * adata.n_obs).reshape(-1, 2)
    reference = planted(np.random.default_rng(1))
    smg.tl.transfer(reference, adata, "cell_type", genes=GENES, tissue_groupby="cell_type", n_random=0)
    return adata


@pytest.fixture(scope="module")
def made():
    return all_results(planted(np.random.default_rng(0)))


@pytest.fixture
def results(made):
    return made.copy()


def quiet(function, *arguments, **options):
    """Whether no results are said to be of other data."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        function(*arguments, **options)
    return not any("of other data" in str(w.message) for w in warned)


GET = {name: getattr(smg.get, name) for name in smg.get.__all__} | {
    "marker_panel": lambda adata: smg.get.marker_panel(adata, 3),
}
for options in (
    "tuning",
    "tuned_options",
):  # are no results; tl.smash says that they are of other data (tests/tl/test_tune.py)
    del GET[options]
PL = {name: getattr(smg.pl, name) for name in smg.pl.__all__}
EXPORT = {f.__name__: lambda adata, f=f: f(adata, "/dev/null") for f in (smg.export.xenium, smg.export.merscope)}
READERS = GET | {f"pl.{name}": draw for name, draw in PL.items()} | EXPORT
READERS["report"] = lambda adata: smg.report.page(adata, figures=False)


def with_labels_swapped(adata):
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.rename_categories({"A": "B / b", "B / b": "A"})
    return adata


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_labels_that_were_put_right_are_noticed_by_every_reader(results, read):
    assert quiet(read, results)
    n = int(results.obs["cell_type"].isin(["A", "B / b"]).sum())
    with pytest.warns(UserWarning, match=f"the labels of {n} cells in 'cell_type' changed since. Run tl"):
        read(with_labels_swapped(results))


def relabelled(column, values):
    def change(adata):
        adata.obs[column] = values(adata)
        return adata

    return change


def one_label_missing(adata):
    return adata.obs["cell_type"].astype(object).where(np.arange(adata.n_obs) != 3, None)


def with_other_genes(adata):
    adata.var_names = [f"new{name}" for name in adata.var_names]
    return adata


def without_the_column(adata):
    del adata.obs["cell_type"]
    return adata


CHANGES = {
    "cells taken out": (lambda a: a[a.obs["cell_type"] != "A"].copy(), r"71 of 240 cells are gone"),
    "one cell taken out, a view": (lambda a: a[1:], r"1 of 240 cells is gone"),
    "a marker taken out that is in the panel": (
        lambda a: a[:, a.var_names != min({*smg.get.markers(a)["name"]} & {*smg.get.panel(a)})], "1 of 60 genes is gone"
    ),
    "genes renamed": (with_other_genes, "the names of the genes changed"),
    "one label": (relabelled("cell_type", one_label_missing), "the labels of 1 cell in 'cell_type' changed"),
    "groups merged": (
        relabelled("cell_type", lambda a: a.obs["cell_type"].astype(str).replace("A", "CD4+ T")),
        "the labels of 71 cells in 'cell_type' changed",
    ),
    "a group renamed": (
        relabelled("cell_type", lambda a: a.obs["cell_type"].cat.rename_categories({"A": "A cells"})),
        "the labels of 71 cells in 'cell_type' changed",
    ),
    "drawn with replacement": (
        lambda a: a[np.random.default_rng(0).integers(0, 240, 240)].copy(), "the cells are not the same"
    ),
    "no column any more": (without_the_column, "the column 'cell_type' is gone"),
    "cells added": (
        lambda a: ad.concat([a, planted(np.random.default_rng(1))[:5]], index_unique="-", uns_merge="first"),
        "5 cells were added",
    ),
    "cells in another order, labels put right": (
        lambda a: with_labels_swapped(a[::-1].copy()), r"the labels of \d+ cells in 'cell_type' changed"
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_what_changed_is_said(results, change, said):
    changed = change(results)
    with pytest.warns(UserWarning, match=rf"adata\.uns\['smash'\] are of other data: {said} since. Run tl.smash again"):
        smg.get.markers(changed)
    with pytest.warns(UserWarning, match=rf"adata\.uns\['smash_panel'\].*{said} since. Run tl.panel again"):
        smg.get.panel(changed)


def test_several_changes_are_all_said(results):
    adata = with_labels_swapped(results[:, 1:].copy())
    with pytest.warns(UserWarning, match=r"labels of \d+ cells in 'cell_type' changed; 1 of 60 genes is gone since"):
        smg.get.markers(adata)


def test_donors_batches_and_broad_groups_count_where_they_were_used(rng):
    adata = planted(rng)
    adata.obs["broad"] = np.where(np.arange(240) % 2, "odd", "even")
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, sample_key="sample", within="broad")
    assert quiet(smg.get.markers, adata)
    for column in ("sample", "broad"):
        changed = adata.copy()
        changed.obs[column] = changed.obs[column].to_numpy()[::-1]
        with pytest.warns(UserWarning, match=rf"the labels of \d+ cells in '{column}' changed"):
            smg.get.markers(changed)
    adata.obs["other"] = "x"
    assert quiet(smg.get.markers, adata)


def shuffled(adata):
    rng = np.random.default_rng(3)
    return adata[rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)].copy()


def renamed_cells(adata):
    adata.obs_names = [f"lane1_{name}" for name in adata.obs_names]
    return adata


def joined_again(adata):
    return ad.concat([adata[:100], adata[100:]], merge="same", uns_merge="same")


SAME = {
    "a copy": lambda a: a.copy(),
    "a view": lambda a: a[:],
    "a view of all cells and genes": lambda a: a[a.obs_names, a.var_names],
    "in another order": shuffled,
    "labels as text": relabelled("cell_type", lambda a: a.obs["cell_type"].astype(str)),
    "labels as nullable text": relabelled("cell_type", lambda a: a.obs["cell_type"].astype("string")),
    "categories in another order": relabelled(
        "cell_type", lambda a: a.obs["cell_type"].cat.reorder_categories(["CD4+ T", "B / b", "A"])
    ),
    "a category that no cell has": relabelled("cell_type", lambda a: a.obs["cell_type"].cat.add_categories(["none"])),
    "ordered categories": relabelled("cell_type", lambda a: a.obs["cell_type"].cat.as_ordered()),
    "cells with other names": renamed_cells,
    "more columns": relabelled("more", lambda a: np.arange(a.n_obs)),
    "cut and joined again": joined_again,
    "in a Dask array": lambda a: ad.AnnData(in_dask(a.X, 60), obs=a.obs, var=a.var, uns=a.uns, varm=a.varm),
    "another matrix": lambda a: ad.AnnData(a.X.toarray(), obs=a.obs, var=a.var, uns=a.uns, varm=a.varm),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_changes_no_result_is_no_alarm(results, change):
    if "dask" in getattr(change, "__code__").co_names:  # noqa: B009
        pytest.importorskip("dask.array")
    changed = change(results)
    for slot in ("markers", "groups", "evaluation", "nsforest", "spapros", "stability"):
        assert slots.changes(changed, "smash", slot) == "", slot
    assert slots.changes(changed, "smash_panel", slots.DESIGN) == ""


@pytest.mark.slow
@pytest.mark.parametrize("bytes_in_memory", [2**30, 0], ids=["in memory", "left on disk"])
@pytest.mark.parametrize("suffix", ["h5ad", SLOW_ZARR])
def test_a_file_holds_what_results_were_made_from(results, tmp_path, monkeypatch, suffix, bytes_in_memory):
    monkeypatch.setattr("smash_gpu.io.open.BYTES_IN_MEMORY", bytes_in_memory)
    results.obs["cell_type"] = one_label_missing(results)
    all_results(results)
    getattr(results, f"write_{suffix}")(tmp_path / f"cells.{suffix}")
    found = smg.read(tmp_path / f"cells.{suffix}")
    if not bytes_in_memory:
        found.obsm = results.obsm  # which stays in the file
    for read in READERS.values():
        assert quiet(read, found)
    found.obs["cell_type"] = found.obs["cell_type"].cat.rename_categories({"A": "B / b", "B / b": "A"})
    with pytest.warns(UserWarning, match=r"the labels of \d+ cells in 'cell_type' changed"):
        smg.get.markers(found)


@pytest.mark.parametrize("kind", [int, float, bool, "Int64", "category"])
def test_labels_that_are_no_text_survive_a_file(rng, tmp_path, kind):
    adata = planted(rng)
    adata.obs["cluster"] = (adata.obs["cell_type"].cat.codes % 2).astype(kind)
    smg.tl.smash(adata, "cluster", model_options=FEW_TREES)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    assert quiet(smg.get.markers, ad.read_h5ad(tmp_path / "cells.h5ad"))


def test_each_result_is_of_the_labels_of_its_own_time(results):
    """The evaluation is made again after the labels were put right, the markers are not."""
    with_labels_swapped(results)
    smg.tl.evaluate(results, "cell_type", genes=GENES, n_splits=2)
    assert quiet(smg.get.evaluation, results)
    assert not quiet(smg.get.markers, results)
    smg.tl.smash(results, "cell_type", n_top=2, model_options=FEW_TREES)
    assert quiet(smg.get.markers, results)


def test_a_selection_that_is_only_repeated_is_no_alarm(results):
    with_labels_swapped(results)
    assert quiet(smg.tl.evaluate, results, "cell_type", n_genes=3, n_splits=2)
    assert not quiet(smg.tl.nsforest_metrics, results, "cell_type")


def test_results_of_an_earlier_version_know_nothing_and_say_nothing(results):
    del results.uns["smash"]["made_from"]
    assert quiet(smg.get.markers, with_labels_swapped(results))


@pytest.mark.slow
def test_figures_and_the_report_leave_out_a_marker_that_is_gone(results):
    marker = smg.get.markers(results, "A")["name"][0]
    changed = results[:, results.var_names != marker].copy()
    with pytest.warns(UserWarning, match="1 of 60 genes is gone"):
        drawn = [text.get_text() for text in smg.pl.markers(changed).get_xticklabels()]
    assert drawn == [name for name in smg.get.markers(results)["name"] if name != marker]
    with pytest.warns(UserWarning, match="1 of 60 genes is gone"):
        assert "<html" in smg.report.page(changed)


def test_the_report_says_it_once_for_each_function_to_run_again(results):
    assert "Made before the data changed" not in smg.report.page(results, figures=False)
    with pytest.warns(UserWarning, match=SINCE) as warned:
        page = smg.report.page(with_labels_swapped(results))
    for what in ("markers", "evaluation", "stability", "designed panel"):
        assert f"Made before the data changed:</strong> {what} (the labels of " in page
    said = [str(w.message) for w in warned if "of other data" in str(w.message)]
    assert len(said) == len(set(said)) == 4  # tl.smash, tl.evaluate, tl.stability, tl.panel


@pytest.mark.slow
def test_the_command_makes_them_again_and_says_why(results, tmp_path, capsys):
    with_labels_swapped(results).write_h5ad(tmp_path / "c.h5ad")
    options = ["--groupby", "cell_type", "--out", str(tmp_path / "r.html"), "--no-figures", "--n-splits", "2"]
    assert main(["report", str(tmp_path / "c.h5ad"), *options]) == 0
    said = capsys.readouterr()
    n = int(results.obs["cell_type"].isin(["A", "B / b"]).sum())
    why = f"the labels of {n} cells in 'cell_type' changed since"
    assert f"The selection in the file is computed again: {why}." in said.out
    assert "Evaluating" in said.out
    assert said.err.count("of other data") == said.err.count("Run tl.panel again") == 1  # the command designs no panel


def test_changes_of_a_million_cells_are_found_at_once():
    """By hashes of names and codes of labels; the matrix is not read."""
    n = 100_000
    obs = pd.DataFrame({"type": np.arange(n) % 7}, index=[f"cell{i}" for i in range(n)])
    adata = ad.AnnData(obs=obs, var=pd.DataFrame(index=["a", "b"]))
    made_from = origin.of(adata, ["type"])
    assert sum(one.codes.nbytes for one in made_from["labels"].values()) == n  # a byte for each cell
    adata.obs["type"] = np.where(np.arange(n) < 20, 9, adata.obs["type"])
    assert origin.changes(adata, made_from) == "the labels of 20 cells in 'type' changed"
