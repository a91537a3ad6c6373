"""Figures of an evaluation show what the tables hold."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from cases.figures import LISTS, ticks

import smash_gpu as smg

mpl.use("Agg")


def test_confusion_shows_shares_of_the_true_group_and_prints_them(seven):
    counts = smg.get.confusion(seven)
    ax = smg.pl.confusion(seven)
    share = (counts.T / counts.sum(axis=1)).T.to_numpy()
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), share)
    printed = {t.get_position(): t.get_text() for t in ax.texts}
    expected = {(c, r): f"{100 * share[r, c]:.0f}" for r, c in zip(*np.nonzero(share >= 0.005), strict=True)}
    assert printed == expected
    ax.figure.draw_without_rendering()
    assert {"0%", "100%"} <= {t.get_text() for t in ax.images[0].colorbar.ax.get_yticklabels()}


def test_confusion_and_pairs_show_the_case_that_is_asked_for(seven):
    case = {"genes": LISTS[1], "n_genes": 5}
    counts = smg.get.confusion(seven, **case).to_numpy()
    image = np.asarray(smg.pl.confusion(seven, **case).images[0].get_array())
    np.testing.assert_allclose(image, counts / counts.sum(axis=1, keepdims=True))
    pairs = smg.get.unresolved_pairs(seven, **case)
    assert len(smg.pl.unresolved_pairs(seven, n_pairs=999, **case).patches) == len(pairs)


def test_the_learning_curve_shows_every_list_and_its_random_panels_with_intervals(seven):
    table = smg.get.learning_curve(seven, "f1_macro")
    ax = smg.pl.learning_curve(seven, "f1_macro")
    legend = [t.get_text() for t in ax.get_legend().get_texts()]
    assert legend == [*LISTS, "random panels"]
    for name, drawn in zip(LISTS, ax.containers, strict=True):
        rows = table[(table["genes"] == name) & ~table["is_random"]]
        np.testing.assert_allclose(drawn.lines[0].get_xydata(), rows[["n_genes", "mean"]])
        ends = np.array([segment[:, 1] for segment in drawn.lines[2][0].get_segments()])
        np.testing.assert_allclose(ends, rows[["low", "high"]], atol=1e-9)
        assert drawn.lines[0].get_linestyle() == "-"
    random = table[table["is_random"]].groupby("n_genes").agg({"low": "min", "high": "max"})
    band = ax.collections[-1].get_paths()[0].vertices
    for n, ends in random.iterrows():
        at = band[np.isclose(band[:, 0], n), 1]
        np.testing.assert_allclose([at.min(), at.max()], ends)
    assert ticks(ax, "x") == ["5", "10", "20"]


def test_a_curve_of_one_split_has_no_interval_and_is_drawn(seven):
    adata = seven.copy()
    smg.tl.evaluate(adata, "cell_type", genes=smg.get.marker_panel(adata, 10), n_genes=[5, 10], n_splits=1)
    drawn = smg.pl.learning_curve(adata).containers
    assert len(drawn) == 1
    assert np.isfinite(drawn[0].lines[0].get_ydata()).all()


def test_bars_of_pairs_are_the_table_worst_on_top(seven):
    pairs = smg.get.unresolved_pairs(seven, genes=LISTS[1])[:5]
    ax = smg.pl.unresolved_pairs(seven, n_pairs=5, genes=LISTS[1])
    assert [p.get_width() for p in ax.patches] == pytest.approx(100 * pairs["confusion"])
    assert ticks(ax, "y") == [f"{row.group}  ↔  {row.other}" for row in pairs.itertuples()]
    one, other = (line.get_xdata() for line in ax.lines)
    np.testing.assert_allclose(one, 100 * pairs["group_as_other"])
    np.testing.assert_allclose(other, 100 * pairs["other_as_group"])
    assert ax.yaxis_inverted()


def test_without_confused_pairs_the_figure_says_so(seven):
    adata = seven.copy()
    adata.uns["smash"]["confusion"] = np.array([np.diag(np.diag(c)) for c in adata.uns["smash"]["confusion"]])
    ax = smg.pl.unresolved_pairs(adata)
    assert not ax.patches
    assert [t.get_text() for t in ax.texts] == ["No pair of classes was confused."]
