"""Nothing is clipped, no name is read as markup, and colours differ."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import numpy as np
import pytest
from cases.figures import LISTS, selected, ticks
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.text import Text

import smash_gpu as smg
from smash_gpu.pl._canvas import GREY, HATCHES, LONGEST_NAME, fills, paired, shown

mpl.use("Agg")


HOSTILE = ("<script>alert(1)</script>", "$\\frac{1}{2}$ 100 %_x", "_hidden & 'quoted' " + "long name " * 9, "$ % NK/T")
HOSTILE_GENES = ('"><img src=x onerror=alert(1)>', "$G_1^2", "_LOC%12", "GENE" * 20)


@pytest.fixture(scope="session")
def hostile():
    return selected(HOSTILE, genes=HOSTILE_GENES, n_genes=60)


FIGURES = {
    "markers": lambda a, **k: smg.pl.markers(a, **k),
    "markers, genes in rows": lambda a, **k: smg.pl.markers(a, swap_axes=True, **k),
    "dotplot": lambda a, **k: smg.pl.dotplot(a, **k),
    "dotplot, genes in rows": lambda a, **k: smg.pl.dotplot(a, swap_axes=True, **k),
    "importance": lambda a, **k: smg.pl.importance(a, **k),
    "confusion": lambda a, **k: smg.pl.confusion(a, **k),
    "learning_curve": lambda a, **k: smg.pl.learning_curve(a, **k),
    "unresolved_pairs": lambda a, **k: smg.pl.unresolved_pairs(a, **k),
    "overlap": lambda a, **k: smg.pl.overlap(a, **k),
    "panel_curve": lambda a, **k: smg.pl.panel_curve(a, **k),
    "panel_pairs": lambda a, **k: smg.pl.panel_pairs(a, **k),
    "panel_resolution": lambda a, **k: smg.pl.panel_resolution(a, **k),
}


def texts(figure):
    """All texts but those of ticks beyond the ends of an axis, which are not drawn."""
    beyond = set()
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        beyond |= {label for t in ticks if not low <= t.get_loc() <= high for label in (t.label1, t.label2)}
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in beyond]


@pytest.mark.slow
@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
@pytest.mark.parametrize("name", ["blood", "seven", "forty", "hostile"])
def test_no_text_is_clipped_and_no_names_overlap(request, name, draw):
    adata = request.getfixturevalue(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # matplotlib says so where a layout collapses
        ax = draw(adata)
        ax.figure.draw_without_rendering()
    page = ax.figure.bbox
    for text in texts(ax.figure):
        box = text.get_window_extent()
        assert box.x0 >= -1, text.get_text()
        assert box.y0 >= -1, text.get_text()
        assert box.x1 <= page.x1 + 1, text.get_text()
        assert box.y1 <= page.y1 + 1, text.get_text()
    for labels, low, high in ((ax.get_yticklabels(), "y0", "y1"), (ax.get_xticklabels(), "x0", "x1")):
        boxes = sorted((t.get_window_extent() for t in labels if t.get_text()), key=lambda b: getattr(b, low))
        assert all(getattr(a, high) <= getattr(b, low) + 1 for a, b in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_a_figure_is_drawn_on_the_axes_that_are_given(seven, draw):
    given = plt.figure().add_subplot()
    assert draw(seven, ax=given) is given


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_names_are_drawn_as_they_are_whatever_the_user_set_for_latex(hostile, draw):
    with mpl.rc_context({"text.parse_math": True}):
        ax = draw(hostile)
        ax.figure.draw_without_rendering()
    for text in texts(ax.figure):
        if "$" in text.get_text() or "_" in text.get_text():
            assert not text.get_parse_math(), text.get_text()
            assert not text.get_usetex()


def test_a_legend_names_groups_that_begin_with_an_underscore(hostile):
    legend = [t.get_text() for t in smg.pl.importance(hostile).get_legend().get_texts()]
    assert legend == shown(hostile.uns["smash"]["groups"])
    assert any(name.startswith("_hidden") for name in legend)


@pytest.mark.parametrize("name", ["unresolved_pairs", "panel_pairs"])
def test_rows_of_pairs_fill_the_axes(seven, name):
    low, high = sorted(FIGURES[name](seven).get_ylim())
    assert low == pytest.approx(-0.6) and high == pytest.approx(len(ticks(FIGURES[name](seven), "y")) - 0.4)


@pytest.mark.parametrize("dpi", [72, 100, 110, 160])
def test_a_legend_above_fits_the_figure_at_any_resolution(blood, dpi):
    for ax in (smg.pl.unresolved_pairs(blood, genes=LISTS[1]), smg.pl.panel_pairs(blood), smg.pl.learning_curve(blood)):
        ax.figure.set_dpi(dpi)
        ax.figure.draw_without_rendering()
        assert ax.get_legend().get_window_extent().x1 <= ax.figure.bbox.x1


def test_of_forty_groups_those_that_are_largest_nowhere_are_one_grey_part(forty):
    ax = smg.pl.importance(forty)
    kinds = [(to_hex(part[0].get_facecolor()), part[0].get_hatch() or "") for part in ax.containers]
    largest = {text.get_text().rpartition(" ")[0].strip() for text in ax.texts}
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(set(kinds)) == len(kinds) == len(largest) + 1
    assert set(named) == largest | {f"{40 - len(largest)} other classes"}
    assert {hatch for _, hatch in kinds[:8]} == {""} and kinds[-1] == (GREY.lower(), "")
    scores = np.abs(np.nan_to_num(forty.varm["smash"])).sum(axis=1)
    ends = [bar.get_x() + bar.get_width() for bar in ax.containers[-1]]
    np.testing.assert_allclose(ends, np.sort(scores)[-20:], rtol=1e-5)
    assert len({(f["facecolor"], f["hatch"]) for f in fills(64)}) == 8 * len(HATCHES)


def simulated(colours, matrix):
    """sRGB seen by someone without one kind of cone (Viénot, Brettel & Mollon 1999)."""
    rgb = np.array([mpl.colors.to_rgb(c) for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.clip(linear @ np.array(matrix).T, 0, 1)


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    ],
    ids=["no red cones", "no green cones"],
)
def test_the_eight_colours_stay_apart_without_one_kind_of_cone(matrix):
    colours = [f["facecolor"] for f in fills(8)]
    seen = simulated(colours, matrix) ** (1 / 2.2)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(8, 1)]
    assert apart.min() > 0.09
    tableau = list(mpl.color_sequences["tab10"])[:8]
    theirs = simulated(tableau, matrix) ** (1 / 2.2)
    assert apart.min() > np.linalg.norm(theirs[:, None] - theirs[None], axis=2)[np.triu_indices(8, 1)].min()


def test_long_names_are_cut_and_different_ones_stay_different():
    long = ["x" * 50 + "a" + "y" * 50, "x" * 50 + "b" + "y" * 50]
    drawn = shown([*long, long[0], "short\nname\t"])
    assert drawn[0] == drawn[2] != drawn[1]
    assert drawn[3] == "short name"
    assert len(set(paired(long, long[::-1]))) == 2
    assert max(map(len, drawn)) <= LONGEST_NAME + 4


@pytest.mark.parametrize("name", ["markers", "dotplot", "importance", "confusion", "learning_curve", "overlap"])
def test_without_results_the_step_that_is_missing_is_named(adata, name):
    with pytest.raises(KeyError, match=r"run tl\."):
        getattr(smg.pl, name)(adata)


@pytest.mark.parametrize("name", ["confusion", "overlap", "panel_resolution"])
def test_a_colour_bar_fits_the_part_of_a_figure_that_is_given(seven, name):
    whole, half = (mpl.figure.Figure(figsize=(width, 4), layout="constrained") for width in (4, 8))
    axes = [whole.add_subplot(), half.subfigures(1, 2)[0].add_subplot()]
    bars = [FIGURES[name](seven, ax=ax).images[0].colorbar.ax for ax in axes]
    for figure in (whole, half):
        figure.draw_without_rendering()
    heights = [bar.get_window_extent().height for bar in bars]
    assert heights[1] == pytest.approx(heights[0], rel=0.05)
