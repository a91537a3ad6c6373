"""Figures of markers show what the tables hold."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cases.figures import ticks
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

import smash_gpu as smg

mpl.use("Agg")


def scaled_means(adata, genes):
    log = np.log1p(1e4 * adata.X.toarray() / adata.X.sum(axis=1).A1[:, None])
    mean = pd.DataFrame(log, columns=adata.var_names).groupby(adata.obs["cell_type"].to_numpy()).mean()
    mean = mean.loc[adata.obs["cell_type"].cat.categories, genes]
    return ((mean - mean.min()) / (mean.max() - mean.min())).to_numpy()


@pytest.mark.parametrize("swap_axes", [False, True])
def test_markers_shows_scaled_means_of_every_marker_with_its_own_framed(seven, swap_axes):
    table = smg.get.markers(seven)
    ax = smg.pl.markers(seven, swap_axes=swap_axes)
    groups = list(seven.uns["smash"]["groups"])
    across, down = (groups, table["name"].tolist()) if swap_axes else (table["name"].tolist(), groups)
    assert (ticks(ax, "x"), ticks(ax, "y")) == (across, down)
    image = np.asarray(ax.findobj(AxesImage)[0].get_array())
    expected = scaled_means(seven, table["name"])
    np.testing.assert_allclose(image.T if swap_axes else image, expected, atol=1e-5)
    frames = [p for p in ax.patches if isinstance(p, Rectangle)]
    assert len(frames) == len(groups)
    sizes = [frame.get_height() if swap_axes else frame.get_width() for frame in frames]
    assert sizes == table["group"].value_counts(sort=False).tolist()
    assert [frame.get_xy()[0 if swap_axes else 1] for frame in frames] == [i - 0.5 for i in range(len(groups))]


def test_n_top_cuts_the_markers_of_every_group(forty):
    assert ticks(smg.pl.dotplot(forty, n_top=1), "x") == smg.get.markers(forty).query("rank == 1")["name"].tolist()


@pytest.mark.parametrize("swap_axes", [False, True])
def test_dots_grow_with_the_share_of_cells_and_darken_with_the_mean(seven, swap_axes):
    names = smg.get.markers(seven)["name"]
    dots = smg.pl.dotplot(seven, swap_axes=swap_axes).collections[0]
    detected = pd.DataFrame(seven.X.toarray() > 0, columns=seven.var_names)
    share = detected.groupby(seven.obs["cell_type"].to_numpy()).mean().loc[seven.uns["smash"]["groups"], names]
    x, y = np.asarray(dots.get_offsets()).astype(int).T
    row, column = (x, y) if swap_axes else (y, x)
    assert len(x) == share.size
    sizes, colours = dots.get_sizes(), np.asarray(dots.get_array())
    np.testing.assert_allclose(sizes / sizes.max(), share.to_numpy()[row, column] / share.to_numpy().max(), atol=1e-6)
    np.testing.assert_allclose(colours, scaled_means(seven, names)[row, column], atol=1e-5)


def test_the_legend_of_sizes_holds_dots_of_the_size_that_it_names(seven):
    ax = smg.pl.dotplot(seven)
    legend = ax.get_legend()
    assert legend.get_title().get_text().endswith("frames: markers of the class")
    shares = [float(t.get_text().rstrip("%")) / 100 for t in legend.get_texts()]
    sizes = [handle.get_sizes()[0] for handle in legend.legend_handles]
    fraction = np.asarray(seven.varm["smash_fraction"])[seven.var_names.get_indexer(smg.get.markers(seven)["name"])]
    np.testing.assert_allclose(
        np.array(sizes) / shares, ax.collections[0].get_sizes().max() / fraction.max(), rtol=1e-5
    )


def test_bars_of_importance_add_up_to_the_scores(seven):
    ax = smg.pl.importance(seven, n_genes=9)
    names, groups = ticks(ax, "y"), list(seven.uns["smash"]["groups"])
    scores = pd.DataFrame(np.abs(np.nan_to_num(seven.varm["smash"])), index=seven.var_names, columns=groups)
    assert len(ax.containers) == len(groups)
    for group, bars in zip(groups, ax.containers, strict=True):
        np.testing.assert_allclose([bar.get_width() for bar in bars], scores.loc[names, group], rtol=1e-5)
    ends = [bar.get_x() + bar.get_width() for bar in ax.containers[-1]]
    np.testing.assert_allclose(ends, scores.sum(axis=1).nlargest(9)[::-1], rtol=1e-5)
    said = [t.get_text() for t in ax.texts]
    largest = scores.loc[names].idxmax(axis=1)
    assert all(text.strip().startswith(group) for text, group in zip(said, largest, strict=True))
