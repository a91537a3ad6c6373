"""Figures of panels show what the tables hold."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from cases.figures import LISTS, ticks

import smash_gpu as smg

mpl.use("Agg")


def test_the_panel_is_drawn_as_its_tables_say(seven):
    pairs, curve = (smg.get.panel_table(seven, name) for name in ("pairs", "curve"))
    ax = smg.pl.panel_pairs(seven, n_pairs=6)
    np.testing.assert_allclose([p.get_width() for p in ax.patches], 1 - pairs["resolved"][:6])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), 1 - pairs["possible"][:6])
    assert ticks(ax, "y") == [f"{row.class_a}  ↔  {row.class_b}" for row in pairs[:6].itertuples()]
    lines = smg.pl.panel_curve(seven).lines
    np.testing.assert_allclose(lines[0].get_xydata(), curve[["n_genes", "resolution"]])
    np.testing.assert_allclose(lines[1].get_xydata(), curve[["n_genes", "half_resolved"]])
    proven = curve["of_bound"].mask((curve["bound"] >= 1) & (curve["of_bound"] < 1))
    np.testing.assert_allclose(lines[2].get_xydata(), np.column_stack([curve["n_genes"], proven])[1:])
    share = np.asarray(smg.pl.panel_resolution(seven).images[0].get_array())
    np.testing.assert_allclose(share, share.T)
    np.testing.assert_allclose(np.sort(share[np.triu_indices(7, 1)]), np.sort(1 - pairs["resolved"]))


def test_a_bound_that_says_nothing_is_not_drawn(adata):
    """Under a cap the bound of most sizes is what all genes resolve."""
    smg.tl.panel(adata, "cell_type", n_genes=8, max_transcripts=20)
    curve = smg.get.panel_table(adata, "curve")[1:]
    assert (curve["bound"].iloc[1], curve["of_bound"].iloc[1]) == (1, curve["resolution"].iloc[1])
    drawn = smg.pl.panel_curve(adata).lines[2].get_ydata()
    assert np.isnan(drawn[1])
    assert np.isfinite(drawn[-1])


def test_overlap_counts_the_genes_that_panels_share(seven):
    genes = seven.var_names.tolist()
    ax = smg.pl.overlap(seven, {"a": genes[:4], "b": genes[2:10], "c": genes[20:21]})
    printed = {t.get_position(): t.get_text() for t in ax.texts}
    assert [[printed[c, r] for c in range(3)] for r in range(3)] == [["4", "2", "0"], ["2", "8", "0"], ["0", "0", "1"]]
    share = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(share, [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])


def test_overlap_compares_the_lists_that_were_judged(seven):
    ax = smg.pl.overlap(seven)
    assert ticks(ax, "y") == list(LISTS)
    best, noise = (
        set(smg.get.evaluation_panels(seven).query(f"genes == {name!r} and split == 0")["name"]) for name in LISTS
    )
    assert [t.get_text() for t in ax.texts] == [
        str(n) for n in (len(best), len(best & noise), len(best & noise), len(noise))
    ]


def test_overlap_of_one_list_that_is_chosen_anew_compares_the_splits(seven):
    adata = seven.copy()

    def by_chance(cells, n_genes):
        return list(np.random.default_rng(cells.n_obs + int(cells.X.sum())).permutation(adata.var_names)[:n_genes])

    smg.tl.evaluate(adata, "cell_type", genes=by_chance, n_genes=12, n_splits=3)
    panels = smg.get.evaluation_panels(adata).groupby("split")["name"].agg(set).tolist()
    ax = smg.pl.overlap(adata)
    assert ticks(ax, "x") == ["split 1", "split 2", "split 3"]
    assert [t.get_text() for t in ax.texts] == [str(len(a & b)) for a in panels for b in panels]


@pytest.mark.parametrize(("panels", "error"), [({}, ValueError), ({"a": ["NOISE20", "no gene"]}, KeyError)])
def test_overlap_answers_a_bad_panel(seven, panels, error):
    with pytest.raises(error, match="panels"):
        smg.pl.overlap(seven, panels)
