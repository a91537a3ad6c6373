"""The map of a tissue shows every cell once, where it lies."""

from __future__ import annotations

import numpy as np
import pytest
from cells import planted

import smash_gpu as smg
from smash_gpu.errors import NotFoundError


@pytest.fixture
def tissue(adata):
    made = planted(np.random.default_rng(5), n_cells=90)
    made.obs.loc[made.obs_names[:9], "cell_type"] = None
    made.obsm["spatial"] = np.random.default_rng(0).random((90, 3)) * [1000, 500, 1]
    smg.tl.transfer(adata, made, "cell_type", genes={"a": ["MARKER0X", "NOISE9"], "b": ["MARKER1X"]}, n_random=0)
    return made


def drawn(ax):
    """Places by name in the legend, without the empty handles."""
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    full = [c.get_offsets().data for c in ax.collections if len(c.get_offsets())]
    return dict(zip(names, full, strict=True))


def in_order(places):
    return places[np.lexsort(places.T)]


@pytest.mark.parametrize("color", ["predicted", "true"])
def test_every_cell_is_drawn_with_its_class(tissue, color):
    found = drawn(smg.pl.transfer_map(tissue, color, genes="b"))
    cells = smg.get.transfer(tissue, "cells", genes="b")
    values = cells[color].astype(object).fillna("not judged").to_numpy()
    assert set(found) == set(values)
    for name, places in found.items():
        np.testing.assert_allclose(in_order(places), in_order(tissue.obsm["spatial"][values == name, :2]))


def test_errors_are_those_of_the_table(tissue):
    found = drawn(smg.pl.transfer_map(tissue, "error"))
    error = smg.get.transfer(tissue, "cells")["error"]
    wrong, right = (error == True).sum(), (error == False).sum()  # noqa: E712 - missing where it is not judged
    assert set(found) == {"not judged (9)", f"right ({right})", f"wrong ({wrong})"}
    assert wrong > 0
    np.testing.assert_allclose(found["not judged (9)"], tissue.obsm["spatial"][:9, :2])


@pytest.mark.parametrize("color", ["true", "error"])
def test_map_and_legend_fill_the_figure(tissue, color):
    figure = smg.pl.transfer_map(tissue, color).figure
    figure.draw_without_rendering()
    ends = figure.axes[0].get_legend().get_window_extent().x1, figure.axes[0].get_tightbbox(for_layout_only=False).x0
    assert figure.bbox.width >= ends[0] > 0.85 * figure.bbox.width
    assert ends[1] < 0.1 * figure.bbox.width


def test_y_runs_down_on_one_scale(tissue):
    ax = smg.pl.transfer_map(tissue)
    assert ax.yaxis_inverted() and ax.get_aspect() == 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("spatial1", "spatial2")


def test_what_is_not_there_is_named(tissue):
    with pytest.raises(NotFoundError, match="Did you mean 'spatial'"):
        smg.pl.transfer_map(tissue, basis="spatia")
    tissue.obsm["one"] = tissue.obsm["spatial"][:, :1]
    with pytest.raises(ValueError, match="'one'. must have two finite coordinates of every cell"):
        smg.pl.transfer_map(tissue, basis="one")
    with pytest.raises(ValueError, match="color='errors' is not one of"):
        smg.pl.transfer_map(tissue, "errors")
