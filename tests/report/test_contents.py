"""Everything that was found is in the report."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cases.page import Page, rows_of, smash, under_headings
from scipy import sparse

import smash_gpu as smg
from smash_gpu import evaluation
from smash_gpu.data.fingerprint import fingerprint
from smash_gpu.pl._labels import metric_label

mpl.use("Agg")


def test_the_markers_are_all_there_with_the_reasons_for_each(hostile, page):
    found = smg.get.markers(hostile)
    rows = rows_of(page, "Markers of each class, and the evidence")
    head, rows = rows[0], rows[1:]
    cells = hostile.obs["cell_type"].value_counts()
    headings = [row[0] for row in rows if len(row) == 1]
    assert headings == [f"{g} {cells[g]:,} cells" for g in found["group"].cat.categories]
    rows = pd.DataFrame([row for row in rows if len(row) > 1], columns=head)
    assert rows["gene"].str.replace("\N{REPLACEMENT CHARACTER}", "").tolist() == [
        name.translate({0x202E: None, 0: None}) for name in found["name"]
    ]
    assert rows["rank"].astype(int).tolist() == found["rank"].tolist()
    np.testing.assert_allclose(rows["score"].astype(float), found["score"], rtol=5e-3)
    assert rows["in the class"].str[2:].tolist() == found["direction"].map({"up": "higher", "down": "lower"}).tolist()
    for column, share in (
        ("cells in class", "fraction_in"),
        ("cells in rest", "fraction_out"),
        ("samples", "samples"),
    ):
        assert rows[column].tolist() == [f"{100 * x:.0f} %" for x in found[share]]
    columns = {"mean in class": "mean_in", "mean in rest": "mean_out", "log2 fold change": "log2_fold_change"}
    for column, mean in columns.items():
        assert rows[column].tolist() == [f"{x:.2f}" for x in found[mean]]
    for column, effect in (("AUC", "auc"), ("specificity", "specificity")):
        np.testing.assert_allclose(rows[column].astype(float), found[effect], rtol=6e-3)
    mean = pd.DataFrame(hostile.varm["smash_mean"], index=hostile.var_names, columns=hostile.uns["smash"]["groups"])
    nearest = [mean.loc[r["name"]].drop(str(r["group"])) for _, r in found.iterrows()]
    assert rows["nearest other class"].tolist() == [f"{m.idxmax()} {m.max():.2f}" for m in nearest]


def test_a_gene_that_is_low_in_its_group_is_marked_and_compared_with_the_lowest_other_group(adata):
    adata.X = sparse.csr_matrix(adata.X)
    smash(adata, filters={"max_groups": 1.5})
    table = adata.uns["smash"]["markers"]
    table.loc[0, "direction"] = "down"
    row = rows_of(smg.report.page(adata, figures=False), "Markers of each class, and the evidence")[2]
    mean = pd.DataFrame(adata.varm["smash_mean"], index=adata.var_names, columns=adata.uns["smash"]["groups"])
    others = mean.loc[table.loc[0, "name"]].drop(str(table.loc[0, "group"]))
    assert row[3] == "↓ lower"
    assert row[-2] == f"{others.idxmin()} {others.min():.2f}"


def test_data_and_ledger_are_summed_up(hostile, page, parsed):
    cells = hostile.obs["cell_type"].value_counts(sort=False)
    rows = rows_of(page, "Classes of cells")[1:]
    assert [(row[0], row[1]) for row in rows] == [(g, str(n)) for g, n in cells.items()]
    counts = pd.Series(hostile.X.sum(axis=1).A1).groupby(hostile.obs["cell_type"].to_numpy()).mean()
    assert [row[4] for row in rows] == [f"{round(counts[row[0]]):,}" for row in rows]
    ledger = hostile.uns["smash"]["filters"]
    assert rows_of(page, "Genes removed by each rule")[1:] == [
        [r.rule, f"{r.matched:,}", f"{r.removed:,}", f"{r.left:,}"] for r in ledger.itertuples()
    ]


def test_metrics_of_lists_and_of_random_panels_have_intervals(hostile, page, parsed):
    case = smg.get.evaluation(hostile)
    is_random = smg.get.evaluation(hostile, is_random=True)
    rows = {row[0]: row for row in rows_of(page, "Metrics on held-out cells")}

    def said(row):
        return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"

    for metric in evaluation.METRICS:
        row = next(row for name, row in rows.items() if name.startswith(f"{metric_label(metric)} "))
        assert row[1] == said(case.loc[metric])
        assert said(is_random.loc[metric]) in row
    assert f"{case.loc['misclassification', 'mean']:.3f}" in parsed.texts["dd"]
    curve = smg.get.learning_curve(hostile)
    rows = under_headings(rows_of(page, "Learning curve")[1:])
    assert [row[1:3] for row in rows] == [[str(row["n_genes"]), said(row)] for _, row in curve.iterrows()]
    assert [row[0].startswith("random panels like") for row in rows] == curve["is_random"].tolist()
    groups = smg.get.group_metrics(hostile)
    assert [row[2] for row in rows_of(page, "Metrics per class. List")[1:]] == [
        said(row) for _, row in groups[groups["metric"] == "recall"].iterrows()
    ]
    pairs = smg.get.unresolved_pairs(hostile)
    if len(pairs):
        assert [row[:2] for row in rows_of(page, "Pairs of classes that are confused")[1:]] == pairs[
            ["group", "other"]
        ].values.tolist()


def test_the_report_says_which_lists_were_given_and_which_were_selected_again(hostile, adata, parsed):
    optimistic = "If one of these was chosen from these cells, its results are too optimistic."
    assert optimistic in parsed.text
    assert "selected again" not in parsed.text
    smash(adata)
    smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=2)
    text = Page(smg.report.page(adata, figures=False)).text
    assert "no held-out cell was used to choose the genes: selection." in text
    assert optimistic not in text
    chosen = smg.get.evaluation_panels(adata).groupby("name")["split"].nunique()
    genes = re.findall(r"<li><i>(.*?)</i><small> (\d)/2</small>", smg.report.page(adata, figures=False))
    assert genes == [(g, str(chosen.get(g, 0))) for g in smg.get.marker_panel(adata, 9)]


def test_seed_parameters_versions_date_and_fingerprint_are_there(hostile, page):
    rows = {row[0]: row[1] for row in rows_of(page, "Parameters of each step")[1:] if len(row) == 2}
    assert rows["groupby"] == "cell_type"
    assert rows["sample_key"] == "sample"
    assert rows["min_fraction"] == "0.3"
    versions = {row[0]: row[1] for row in rows_of(page, "Versions of the software")[1:]}
    assert versions["smash-gpu"] == smg.__version__
    assert versions["numpy"] == np.__version__
    assert re.search(r"<dt>Seed</dt><dd>7</dd>", page)
    assert re.search(r"<dt>Written</dt><dd>20\d\d-\d\d-\d\d \d\d:\d\d UTC</dd>", page)
    assert fingerprint(hostile.X, hostile.var_names, hostile.obs["cell_type"]) in page


def test_cells_and_groups_that_were_left_out_are_counted(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy().copy()
    labels[:5] = "rare"
    adata.obs["cell_type"] = labels
    adata.obs.loc[adata.obs_names[5:8], "cell_type"] = np.nan
    with pytest.warns(UserWarning):
        smash(adata, min_cells=10)
        page = smg.report.page(adata, figures=False)
    assert f"<dd>{adata.n_obs - 8:,}, and 8 left out</dd>" in page
    assert "rare" not in [row[0] for row in rows_of(page, "Classes of cells")]


def test_log_normalised_values_are_named_as_such(adata):
    adata.X = sparse.csr_matrix(np.log1p(1e4 * adata.X.toarray() / adata.X.sum(axis=1).A1[:, None]))
    smash(adata, normalize=False)
    page = smg.report.page(adata, figures=False)
    assert "<dd>X, log-normalised</dd>" in page
    assert "counts per cell" not in page


def test_groups_without_markers_are_named(adata):
    with pytest.warns(UserWarning):
        smash(adata, sample_key="sample", sample_fraction=1.01)
    page = smg.report.page(adata)
    assert "No markers of A, B / b, CD4+ T:" in Page(page).text
    assert len(rows_of(page, "Markers of each class, and the evidence")) == 1
