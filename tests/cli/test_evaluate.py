"""The command `evaluate`: lists of genes in, metrics out."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from cases.commands import MARKERS, PNG, assert_one_message, evaluate, find, written

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.cli.evaluate import _side_by_side


@pytest.mark.slow
def test_a_panel_found_can_be_evaluated(run, data, tmp_path):
    assert find(run, data, "--out", tmp_path, "--n-genes", 9)[0] == 0
    code, out, _ = evaluate(
        run, data, tmp_path / "marker_panel.csv", "--protocol", "paper", "--out", tmp_path / "judged"
    )
    assert code == 0
    assert "panel (9 genes)" in out
    assert "Protocol paper: one stratified split with 70 % training cells, seed 42" in out
    table = pd.read_csv(tmp_path / "judged" / "evaluation.csv").set_index("metric")
    assert table.index.tolist() == list(evaluation.METRICS)
    assert table["n_genes"].eq(9).all()
    assert table.loc["misclassification", "mean"] < 0.05
    confusion = pd.read_csv(tmp_path / "judged" / "confusion.csv")
    assert set(confusion["true"]) == set(confusion["predicted"]) == {"A", "B / b", "CD4+ T"}
    assert confusion["cells"].sum() == 72
    assert (tmp_path / "judged" / "confusion.png").read_bytes().startswith(PNG)


@pytest.mark.slow
def test_evaluate_gives_the_numbers_of_the_package(run, data, adata, tmp_path):
    lists = {"mine": ["MARKER0X", "NOISE20", "NOISE21"], "theirs": ["NOISE22", "NOISE23", "MARKER1X", "MARKER2X"]}
    files = [written(tmp_path / f"{name}.txt", *genes) for name, genes in lists.items()]
    options = ("--n-splits", 2, "--random-state", 5, "--sample-key", "sample", "--n-genes", 2, 3, "--n-random", 1)
    options += ("--thin", 0.5, "--dropout", 0.3, "--classifier", "knn", "logreg", "--out", tmp_path / "out")
    code, out, _ = run("evaluate", data, "--groupby", "cell_type", "--genes", *files, *options)
    assert code == 0
    smg.tl.evaluate(
        adata, "cell_type", genes=lists, n_splits=2, random_state=5, sample_key="sample", n_genes=[2, 3], n_random=1,
        thin=0.5, dropout=0.3, classifier=["knn", "logreg"],
    )  # fmt: skip
    tables = {"evaluation": smg.get.comparison(adata), "splits": smg.get.evaluation_splits(adata)}
    tables["differences"] = smg.get.differences(adata)
    for name, expected in tables.items():
        found = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        pd.testing.assert_frame_equal(found, expected, rtol=1e-6, check_dtype=False)
    groups = pd.read_csv(tmp_path / "out" / "groups.csv")
    expected = smg.get.group_metrics(adata, genes="theirs").astype({"group": str})
    found = groups[groups["genes"] == "theirs"].drop(columns="genes").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    pairs = pd.read_csv(tmp_path / "out" / "pairs.csv")
    expected = smg.get.unresolved_pairs(adata, genes="mine")
    found = pairs[pairs["genes"] == "mine"].drop(columns="genes").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    assert all(word in out for word in ("mine", "theirs", "random panels like mine", "logreg", "thin", "dropout"))


@pytest.mark.slow
def test_a_selection_is_made_inside_every_split(run, data, adata, tmp_path):
    listed = written(tmp_path / "list.txt", *MARKERS)
    arguments = ("--genes", listed, "--select", "rf", "--n-genes", 3, 9, "--n-splits", 2, "--out", tmp_path / "out")
    code, out, error = run("evaluate", data, "--groupby", "cell_type", *arguments)
    assert code == 0, error
    assert "selection by rf" in out
    smg.tl.smash(adata, "cell_type")
    smg.tl.evaluate(adata, "cell_type", genes={"selection by rf": None}, n_genes=[3, 9], n_splits=2)
    found = pd.read_csv(tmp_path / "out" / "splits.csv")
    found = found[found["genes"] == "selection by rf"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, smg.get.evaluation_splits(adata), rtol=1e-6, check_dtype=False)


def test_the_panel_design_is_repeated_inside_every_split(run, data, adata, tmp_path):
    arguments = ("--select", "panel", "--n-genes", 3, 9, "--out", tmp_path / "out")
    code, out, error = run("evaluate", data, "--groupby", "cell_type", *arguments)
    assert code == 0, error

    def design(cells, n_genes):
        cells = cells.to_memory()
        smg.tl.panel(cells, "cell_type", n_genes=n_genes, nested=True)
        return smg.get.panel(cells)

    smg.tl.evaluate(adata, "cell_type", genes={"selection by panel": design}, n_genes=[3, 9])
    found = pd.read_csv(tmp_path / "out" / "splits.csv")
    pd.testing.assert_frame_equal(found, smg.get.evaluation_splits(adata), rtol=1e-6, check_dtype=False)


def test_the_panel_design_adds_to_a_printed_panel_within_limits(run, data, tmp_path):
    printed = written(tmp_path / "printed.txt", "NOISE30", "GFP", "NOISE31")
    limits = ("--extend", printed, "--max-transcripts", 40)
    arguments = ("evaluate", data, "--groupby", "cell_type", *limits, "--n-splits", 2, "--n-random", 0)
    out = ("--select", "panel", "--out", tmp_path / "out")
    code, _, error = run(*arguments, *out, "--n-genes", 5)
    assert code == 0, error
    assert error.count("GFP") == 1 and "max_transcripts" not in error
    panels = pd.read_csv(tmp_path / "out" / "panels.csv").groupby("split")["name"].apply(list)
    assert all(genes[:2] == ["NOISE30", "NOISE31"] and len(genes) == 5 for genes in panels)
    assert_one_message(run(*arguments, *out, "--n-genes", 2), "--n-genes counts the 2 genes of the printed panel")
    assert_one_message(
        run(*arguments, "--genes", printed), "--max-transcripts is for the panel design; add --select panel"
    )


def test_a_table_of_the_slide_is_no_list_in_order_of_preference(run, data, tmp_path):
    slide = written(tmp_path / "slide.csv", "name,origin,in_data", "NOISE30,existing,True", "MARKER0X,chosen,True")
    more = ("--genes", slide, "--n-random", 0, "--n-splits", 2)
    assert (
        "slide.csv begins with the printed panel"
        in run("evaluate", data, "--groupby", "cell_type", *more, "--n-genes", 1)[2]
    )
    assert "begins with" not in run("evaluate", data, "--groupby", "cell_type", *more)[2]
    targets = [{"type": {"data": {"name": name}}, "source": {"category": kind}}
               for name, kind in (("NOISE30", "base"), ("MARKER0X", "custom"))]  # fmt: skip
    for order, said in ((targets, True), (targets[::-1], False)):
        listed = written(tmp_path / "gene_panel.json", json.dumps({"payload": {"targets": order}}))
        one = ("--genes", listed, *more[2:], "--n-genes", 1)
        error = run("evaluate", data, "--groupby", "cell_type", *one)[2]
        assert ("gene_panel.json begins with the printed panel" in error) == said
    slide.write_text("name,origin,in_data\nMARKER0X,chosen,True\nMARKER1X,chosen,True\n")
    assert "begins with" not in run("evaluate", data, "--groupby", "cell_type", *more, "--n-genes", 1)[2]


def test_the_protocol_is_printed_as_it_was_run_and_what_was_not_judged_is_named(run, adata, tmp_path):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[(adata.obs["sample"] == "donor2").to_numpy().nonzero()[0][:6]] = "epsilon"
    adata.obs["cell_type"] = labels
    adata.write_h5ad(tmp_path / "cells.h5ad")
    files = [written(tmp_path / "list.txt", *MARKERS), written(tmp_path / "short.txt", *MARKERS[:3])]
    options = (
        "--sample-key",
        "sample",
        "--n-splits",
        4,
        "--n-genes",
        3,
        9,
        "--min-cells",
        5,
        "--out",
        tmp_path / "out",
    )
    arguments = ("--groupby", "cell_type", "--genes", *files, *options)
    code, out, error = run("evaluate", tmp_path / "cells.h5ad", *arguments)
    assert code == 0, error
    assert "Protocol leak-free: whole samples held out (column sample), 4 folds, seed 0, classes of at least 5" in out
    assert "stratified" not in out
    assert error.count("epsilon: all cells are of sample donor2") == 1
    assert "short has 3 of 9 genes" in error
    assert "9 (has 3)" in out
    assert "epsilon" not in out
    groups = pd.read_csv(tmp_path / "out" / "groups.csv")
    assert groups[groups["group"] == "epsilon"]["mean"].isna().all()
    params = json.loads((tmp_path / "out" / "params.json").read_text())["evaluation"]
    assert (params["sample_key"], params["n_genes"], params["min_cells"]) == ("sample", [3, 9], 5)
    panels = pd.read_csv(tmp_path / "out" / "panels.csv")
    assert panels[panels["genes"] == "short"].groupby("split")["name"].apply(list).tolist() == [MARKERS[:3]] * 4


def test_nothing_to_judge_is_told(run, data):
    assert_one_message(run("evaluate", data, "--groupby", "cell_type"), "--genes", "--select")


def test_lists_in_files_of_one_name_are_told_apart(run, data, tmp_path):
    paths = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        paths.append(written(tmp_path / folder / "panel.txt", "MARKER0X", "MARKER1X"))
    code, out, error = run("evaluate", data, "--groupby", "cell_type", "--genes", *paths, "--protocol", "paper")
    assert code == 0, error
    assert all(str(path) in out for path in paths)


def test_lists_of_different_length_are_noted(run, data, tmp_path):
    paths = [written(tmp_path / "a.txt", "MARKER0X"), written(tmp_path / "b.txt", "MARKER0X", "MARKER1X")]
    code, _, error = run("evaluate", data, "--groupby", "cell_type", "--genes", *paths, "--protocol", "paper")
    assert code == 0
    assert "note: the lists differ in length (a 1, b 2)" in error


LISTS = {
    "one a line": "MARKER0X\nMARKER1X\n",
    "blank lines and spaces": "\n  MARKER0X  \n\nMARKER1X\n\n",
    "a column name": "rank,name\n1,MARKER0X\n2,MARKER1X\n",
    "a column gene": "Gene,score\nMARKER0X,1\nMARKER1X,2\n",
    "a gene twice": "MARKER0X\nMARKER1X\nMARKER0X\n",
    "Windows line ends": "MARKER0X\r\nMARKER1X\r\n",
    "a mark at the start, as Excel writes": "\ufeffMARKER0X\nMARKER1X\n",
    "an index without a name, as pandas writes": ",group,name\n0,A,MARKER0X\n1,A,MARKER1X\n",
    "separated by tabs": "name\tgroup\nMARKER0X\tA\nMARKER1X\tB\n",
    "a row that is too short": "rank,name\n1,MARKER0X\n2,MARKER1X\n3\n",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_a_list_of_genes_is_read_however_it_was_saved(run, data, tmp_path, text):
    path = tmp_path / "genes.csv"
    path.write_bytes(text.encode())
    code, out, error = evaluate(run, data, path, "--protocol", "paper")
    assert code == 0, error
    assert "genes (2 genes)" in out


def test_every_printed_row_says_how_many_genes_its_own_list_has(adata):
    lists = {"long": [*MARKERS[:3], "NOISE20", "NOISE21"], "short": MARKERS[:2], "middle": [*MARKERS[:3], "NOISE22"]}
    smg.tl.evaluate(adata, "cell_type", genes=lists, thin=0.5, n_random=1, n_splits=2, n_genes=[4, 9])
    table = _side_by_side(smg.get.comparison(adata))
    assert len(table) == 2 * 2 * 2 * 3
    for name, genes in lists.items():
        shown = table.loc[table["genes"].isin([name, f"random panels like {name}"]), "n_genes"]
        used = {n: min(n, len(genes)) for n in (4, 9)}
        assert set(shown) == {n if n == m else f"{n} (has {m})" for n, m in used.items()}


def test_the_test_of_the_field_is_repeated_inside_every_split(run, data, adata, tmp_path):
    arguments = ("--select", "wilcoxon", "--n-genes", 9, "--n-splits", 2, "--out", tmp_path / "out", "--no-figures")
    code, out, error = run("evaluate", data, "--groupby", "cell_type", *arguments)
    assert code == 0, error
    assert "selection by wilcoxon" in out
    smg.tl.evaluate(adata, "cell_type", genes={"selection by wilcoxon": "wilcoxon"}, n_genes=9, n_splits=2)
    found = pd.read_csv(tmp_path / "out" / "splits.csv")
    pd.testing.assert_frame_equal(found, smg.get.evaluation_splits(adata), rtol=1e-6, check_dtype=False)
    code, _, error = run("evaluate", data, "--groupby", "cell_type", "--select", "rf,wilcoxon")
    assert code == 2 and "invalid choice" in error
