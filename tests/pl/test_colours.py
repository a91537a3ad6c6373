"""Groups have the colours that scanpy stored, where it stored one for each."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import smash_gpu as smg
from smash_gpu.pl._canvas import COLOURS
from smash_gpu.pl._colours import of_bars, of_points, stored

mpl.use("Agg")

OWN = ["#123456", "rebeccapurple", "#abcdef"]
WRONG = {
    "none": None,
    "too few": OWN[:2],
    "not a colour": [*OWN[:2], "blau-grün"],
    "of another column": {"batch_colors": OWN},
}


def test_they_follow_the_names_and_not_the_order(adata):
    adata.uns["cell_type_colors"] = np.array(OWN)
    names = [*adata.obs["cell_type"].cat.categories]
    assert stored(adata, "cell_type", names) == OWN
    assert stored(adata, "cell_type", names[::-1]) == OWN[::-1]
    assert [look["marker"] for look in of_points(adata, "cell_type", names)] == ["o"] * 3


@pytest.mark.parametrize("held", WRONG.values(), ids=WRONG)
def test_without_one_for_each_group_they_are_ours(adata, held):
    if held is not None:
        adata.uns |= held if isinstance(held, dict) else {"cell_type_colors": held}
    names = [*adata.obs["cell_type"].cat.categories]
    assert stored(adata, "cell_type", names) is None
    assert [look["color"] for look in of_points(adata, "cell_type", names)] == [*COLOURS[:3]]
    assert [bar["facecolor"] for bar in of_bars(adata, "cell_type", names)] == [*COLOURS[:3]]
    assert stored(adata, "cell_type", ["broad / A"]) is None and stored(adata, None, names) is None


def test_the_figures_use_them(adata):
    adata.uns["cell_type_colors"] = OWN
    smg.tl.smash(adata, "cell_type", n_top=2, model_options={"n_estimators": 10})
    ax = smg.pl.importance(adata, n_genes=3)
    drawn = [mpl.colors.to_hex(bars.patches[0].get_facecolor()) for bars in ax.containers]
    assert drawn == [mpl.colors.to_hex(colour) for colour in OWN]
    tissue = adata.copy()
    tissue.obsm["spatial"] = np.random.default_rng(0).random((tissue.n_obs, 2))
    smg.tl.transfer(adata, tissue, "cell_type", genes=["MARKER0X", "MARKER1X"], n_random=0)
    ax = smg.pl.transfer_map(tissue, "true")
    shown = {mpl.colors.to_hex(cells.get_facecolor()[0]) for cells in ax.collections if len(cells.get_offsets())}
    assert shown == set(drawn)
