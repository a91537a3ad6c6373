"""The command `report`."""

from __future__ import annotations

import re

import anndata as ad
import matplotlib as mpl
import numpy as np
import pytest
from cases.commands import assert_one_message
from cases.page import FEW_TREES, Page, rows_of, smash, under_headings, without_date
from cells import planted

import smash_gpu as smg
from smash_gpu.cli import main
from smash_gpu.cli.saved import save_result

mpl.use("Agg")
pytestmark = pytest.mark.usefixtures("few_trees")


@pytest.fixture
def run(run):
    return lambda *arguments: run("report", *arguments, "--groupby", "cell_type")


@pytest.fixture
def data(adata, tmp_path):
    adata.write_h5ad(tmp_path / "my cells.h5ad")
    return tmp_path / "my cells.h5ad"


QUICK = ("--n-splits", 2, "--n-random", 1)


@pytest.mark.slow
def test_the_command_selects_judges_and_writes_one_file(run, data, tmp_path):
    out = tmp_path / "new" / "report.html"
    code, said, _ = run(data, "--out", out, *QUICK, "--n-genes", 3, 6, "--n-top", 2, "--n-resamples", 2)
    assert code == 0
    steps = [
        "240 cells × 60 genes",
        "Selecting markers, model rf",
        "Evaluating 3, 6 genes …",
        "Selecting 6 genes again on 2 halves …",
        f"Writing {out}",
    ]
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    assert len(re.findall(r"^  [\d.]+ s$", said, re.MULTILINE)) == 4
    assert [p.name for p in out.parent.iterdir()] == ["report.html"]
    page = out.read_text(encoding="utf-8")
    assert Page(page).texts["h1"] == ["Marker genes of my cells"]
    assert "no held-out cell was used to choose the genes: selection." in Page(page).text
    assert "random panels like selection" in page
    assert "2 random halves of the cells" in Page(page).text
    curve = under_headings(rows_of(page, "Learning curve")[1:])
    assert [row[1] for row in curve[:2]] == ["3", "6"]
    markers = [row for row in rows_of(page, "Markers of each class, and the evidence")[1:] if len(row) > 1]
    assert len(markers) == 6


@pytest.mark.slow
def test_the_result_of_a_panel_gives_a_page_on_the_panel(run, data, tmp_path):
    smg.tl.panel(adata := ad.read_h5ad(data), "cell_type", n_genes=4)
    save_result(adata, tmp_path / "panel.h5ad", ["cell_type"])
    code, said, error = run(tmp_path / "panel.h5ad", "--out", tmp_path / "page.html")
    assert code == 0, error
    assert "Selecting" not in said
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert Page(page).texts["h1"] == ["Panel for cell_type"]
    genes = [row[0] for row in rows_of(page, "Genes in the order in which they were chosen")[1:]]
    assert genes == smg.get.panel(adata)
    for option in (("--umap",), ("--model", "xgboost"), ("--n-resamples", 4)):
        said = run(tmp_path / "panel.h5ad", *option)
        assert_one_message(said, f"no counts, which {option[0]} needs; omit {option[0]}")


def test_a_panel_and_its_evaluation_in_the_file_give_a_page_on_both(run, data, tmp_path, capsys):
    smg.tl.panel(adata := ad.read_h5ad(data), "cell_type", n_genes=4)
    smg.tl.evaluate(adata, "cell_type", genes={"mine": smg.get.panel(adata)}, n_splits=2, n_random=1)
    adata.write_h5ad(judged := tmp_path / "judged.h5ad")
    assert main(["report", str(judged), "--out", str(tmp_path / "page.html")]) == 0
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.texts["h2"] == ["Designed panel", "Evaluation", "Options"]
    assert "mine" in page.text
    assert main(["report", str(judged), "--n-splits", "3"]) == 2
    assert "--n-splits is for a selection, and --groupby is missing" in capsys.readouterr().err
    *_, error = run(judged, "--groupby", "cell_type", "--out", tmp_path / "other.html", *QUICK)
    assert "the evaluation in the file is of lists without a selection" in error


def test_cells_need_the_column_of_their_classes(data, capsys):
    assert main(["report", str(data)]) == 2
    assert "--groupby is missing" in capsys.readouterr().err


def test_sizes_for_which_there_are_too_few_genes_are_left_out_and_named(run, data, tmp_path):
    code, said, _ = run(data, "--out", tmp_path / "r.html", *QUICK, "--no-figures")
    assert code == 0
    assert re.search(r"Not evaluated: (50, )?100 genes, because only \d+ have a score", said)
    assert "<img" not in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.fixture
def judged(adata, tmp_path):
    smash(adata, random_state=5)
    smg.tl.evaluate(adata, "cell_type", n_genes=[3, 6], n_splits=2, random_state=5)
    adata.write_h5ad(tmp_path / "judged.h5ad")
    return tmp_path / "judged.h5ad"


@pytest.mark.slow
def test_results_in_the_file_are_used_and_said_to_be(run, judged, tmp_path):
    code, said, _ = run(judged, "--out", tmp_path / "r.html", "--no-figures")
    assert code == 0
    assert "Using the selection in the file (model rf, seed 5)" in said
    assert "Using the evaluation in the file (2 stratified splits with 70 % training cells, seed 5)" in said
    assert "Selecting" not in said
    assert "Evaluating" not in said
    expected = smg.report.page(ad.read_h5ad(judged), title="Marker genes of judged", figures=False)
    assert without_date((tmp_path / "r.html").read_text(encoding="utf-8")) == without_date(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "anew"),
    [
        (("--again", "--n-genes", 3), {"selection", "evaluation"}),
        (("--n-top", 2, "--n-genes", 3), {"selection"}),
        (("--n-genes", 3), {"evaluation"}),
        (("--sample-key", "sample", "--n-genes", 3), {"selection"}),
    ],
)
def test_results_in_the_file_are_made_anew_where_options_ask_for_others(run, judged, tmp_path, options, anew):
    code, said, _ = run(judged, "--out", tmp_path / "r.html", "--no-figures", *QUICK, *options)
    assert code == 0
    assert ("Selecting" in said) == ("selection" in anew)
    assert "Evaluating 3 genes" in said
    for what in anew - {"evaluation"}:
        assert f"The {what} in the file is computed again: {options[0]}" in said


def test_a_selection_of_another_column_in_the_file_is_not_used(run, adata, tmp_path):
    adata.obs["other"] = adata.obs["cell_type"]
    smg.tl.smash(adata, "other", model_options=FEW_TREES)
    adata.write_h5ad(tmp_path / "c.h5ad")
    code, said, _ = run(tmp_path / "c.h5ad", "--out", tmp_path / "r.html", "--no-figures", *QUICK, "--n-genes", 3)
    assert code == 0
    assert "it is of 'other'" in said
    assert "Selecting" in said


def test_a_selection_inside_broad_groups_is_judged_as_given(run, adata, tmp_path, rng):
    adata = planted(rng, groups=("a", "b", "c", "d"))
    adata.obs["broad"] = np.where(adata.obs["cell_type"].isin(["a", "b"]), "left", "right")
    adata.write_h5ad(tmp_path / "c.h5ad")
    options = ("--no-figures", "--within", "broad", *QUICK, "--n-genes", 6)
    code, _, error = run(tmp_path / "c.h5ad", "--out", tmp_path / "r.html", *options, "--n-resamples", 2)
    assert code == 0
    assert error.splitlines() == [
        "note: a selection within broad classes cannot be repeated on halves: no chapter on stability."
    ]
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Lists evaluated as given: panel chosen within broad." in page.text


def test_a_folder_in_place_of_the_file_is_answered_before_any_work(run, data, tmp_path):
    code, said, error = run(data, "--out", tmp_path)
    assert (code, said) == (2, "")
    assert "pass the name of an HTML file" in error
