"""Figures of the panel in every class: what is drawn is what a plain loop over the cells gives."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cases.figures import ticks
from matplotlib import pyplot as plt

import smash_gpu as smg
from smash_gpu.errors import NotFoundError

mpl.use("Agg")


@pytest.fixture
def by_class(adata):
    smg.tl.panel(adata, "cell_type", n_genes=9, max_transcripts={"A": 60}, max_counts=(0.1, 90))
    return pd.DataFrame(adata.X.toarray(), columns=adata.var_names).groupby(adata.obs["cell_type"].to_numpy())


def test_genes_stand_beside_the_class_in_which_they_are_highest(adata, by_class):
    ax = smg.pl.panel_heatmap(adata)
    shown = np.asarray(ax.images[0].get_array())
    classes = ticks(ax, "y")
    assert sorted(ticks(ax, "x")) == sorted(smg.get.panel(adata))
    highest = [classes[row] for row in shown.argmax(axis=0)]
    assert highest == sorted(highest, key=classes.index)
    expected = log_means(adata)[ticks(ax, "x")].idxmax()
    assert highest == expected.tolist()
    assert (shown.min(axis=0), shown.max(axis=0)) == pytest.approx((0, 1))


def test_a_class_in_which_no_gene_is_highest_has_no_frame(adata):
    smg.tl.panel(adata, "cell_type", n_genes=1)
    assert [frame.get_width() for frame in smg.pl.panel_heatmap(adata).patches] == [1]


def log_means(adata):
    X = adata.X.toarray().astype(float)
    e = np.log1p(1e4 * X / X.sum(axis=1, keepdims=True))
    return pd.DataFrame(e, columns=adata.var_names).groupby(adata.obs["cell_type"].to_numpy()).mean()


def test_the_size_of_a_dot_is_the_share_of_cells(adata, by_class):
    ax = smg.pl.panel_dotplot(adata)
    dots = ax.collections[0]
    share = by_class.agg(lambda column: (column > 0).mean())
    for (x, y), size in zip(dots.get_offsets(), dots.get_sizes(), strict=True):
        gene, name = ticks(ax, "x")[round(x)], ticks(ax, "y")[round(y)]
        assert size == pytest.approx(110 * share.loc[name, gene], rel=1e-4)


def test_axes_can_be_swapped_and_genes_left_out(adata, by_class):
    ax = smg.pl.panel_dotplot(adata, n_genes=4, swap_axes=True)
    assert sorted(ticks(ax, "y")) == sorted(smg.get.panel(adata)[:4])
    ax = smg.pl.panel_heatmap(adata, n_genes=4, swap_axes=True)
    assert ticks(ax, "x") == ["A", "B / b", "CD4+ T"]


def test_one_of_several_columns_is_drawn(designed):
    assert len(ticks(smg.pl.panel_heatmap(designed, column="fine"), "y")) == 4
    assert len(ticks(smg.pl.panel_heatmap(designed), "y")) == 3
    for figure in (smg.pl.panel_heatmap, smg.pl.panel_dotplot):
        assert figure(designed, column="fine").get_ylabel() == "fine"
        assert figure(designed, swap_axes=True).get_xlabel() == "cell_type"
    assert "fine: A/2" in ticks(smg.pl.panel_crowding(designed), "y")
    with pytest.raises(NotFoundError, match="Did you mean 'fine'"):
        smg.pl.panel_dotplot(designed, column="fin")


def test_crowding_is_the_sum_of_the_panel_and_the_existing_genes_in_every_class(adata):
    smg.tl.panel(adata, "cell_type", n_genes=6, extend=["NOISE30"], max_transcripts={"A": 60})
    whole = [*smg.get.panel(adata), "NOISE30"]
    sums = pd.DataFrame(adata[:, whole].X.toarray()).groupby(adata.obs["cell_type"].to_numpy()).mean().sum(axis=1)
    ax = smg.pl.panel_crowding(adata)
    drawn = dict(zip(ticks(ax, "y"), [bar.get_width() for bar in ax.patches], strict=True))
    assert drawn == pytest.approx(sums.to_dict())
    assert list(drawn) == sums.sort_values(ascending=False).index.tolist()
    limits = ax.lines[0].get_xdata()
    assert sorted(limits[np.isfinite(limits)]) == [60]


def test_levels_show_the_brightest_class_and_the_window(adata, by_class):
    ax = smg.pl.panel_levels(adata)
    most = by_class.mean()[ticks(ax, "x")].max()
    np.testing.assert_allclose(ax.lines[0].get_ydata(), most, rtol=1e-6)
    assert sorted(line.get_ydata()[0] for line in ax.lines[2:]) == [0.1, 90]
    assert most.is_monotonic_decreasing
    sizes = {tick.label1.get_size() for tick in (*ax.yaxis.get_major_ticks(), *ax.yaxis.get_minor_ticks())}
    assert sizes == {8}


def test_the_list_of_a_validation_is_drawn_too(adata):
    smg.tl.validate(adata, "cell_type", genes=["MARKER0X", "NOISE30", "GFP"], max_counts=(None, 5), max_transcripts=9)
    assert len(ticks(smg.pl.panel_levels(adata, key="smash_validation"), "x")) == 2
    assert len(smg.pl.panel_crowding(adata, key="smash_validation").patches) == 3


def test_logarithms_have_no_counts_to_draw(adata):
    adata.X = np.log1p(adata.X.toarray())
    smg.tl.panel(adata, "cell_type", n_genes=6, normalize=False)
    for figure in (smg.pl.panel_crowding, smg.pl.panel_levels):
        with pytest.raises(NotFoundError, match="use raw counts"):
            figure(adata)
    assert len(ticks(smg.pl.panel_heatmap(adata), "x")) == 6


def test_names_of_forty_classes_do_not_overlap(forty):
    for figure in (smg.pl.panel_heatmap, smg.pl.panel_dotplot, smg.pl.panel_crowding):
        ax = figure(forty)
        ax.figure.canvas.draw()
        boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
        assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False)), figure.__name__
        plt.close(ax.figure)


@pytest.mark.slow
def test_the_cells_are_drawn_twice_each_class_in_one_colour(adata):
    pytest.importorskip("scanpy")
    smg.tl.panel(adata, "cell_type", n_genes=9)
    ax = smg.pl.panel_umap(adata, max_cells=120)
    drawn = [dots for dots in ax.collections if len(dots.get_offsets())]
    assert len(drawn) == 2 * 3
    assert sum(len(dots.get_offsets()) for dots in drawn) == 2 * 120
    for left, right in zip(drawn[:3], drawn[3:], strict=True):
        assert len(left.get_offsets()) == len(right.get_offsets())
        np.testing.assert_array_equal(left.get_facecolor()[0], right.get_facecolor()[0])
    again = smg.pl.panel_umap(adata, max_cells=120)
    np.testing.assert_array_equal(again.collections[0].get_offsets(), ax.collections[0].get_offsets())
