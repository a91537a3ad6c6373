"""Figures: what is drawn is what the tables hold; nothing is clipped, and no name is read as markup."""

import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cells import planted
from matplotlib.colors import to_hex
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text

import smash_gpu as smg
from smash_gpu.pl._canvas import HATCHES, LONGEST_NAME, fills, paired, shown

mpl.use("Agg")
LIKE = "random panels like "
FEW_TREES = {"n_estimators": 20}
HOSTILE = ("<script>alert(1)</script>", "$\\frac{1}{2}$ 100 %_x", "_hidden & 'quoted' " + "long name " * 9, "$ % NK/T")
HOSTILE_GENES = ('"><img src=x onerror=alert(1)>', "$G_1^2", "_LOC%12", "GENE" * 20)
LISTS = ("best <b>$a_1$", "_noise")


def selected(groups, *, n_cells=320, n_genes=160, genes=(), n_top=2):
    adata = planted(np.random.default_rng(1), n_cells=n_cells, n_genes=n_genes, groups=groups)
    names = adata.var_names.to_numpy().copy()
    names[: len(genes)] = genes
    adata.var_names = names
    smg.tl.smash(adata, "cell_type", n_top=n_top, model_options=FEW_TREES, inverse_pca=False)
    best = smg.get.marker_panel(adata, 20)
    noise = [name for name in adata.var_names if name.startswith("NOISE") and name not in best][:20]
    lists = {LISTS[0]: best, LISTS[1]: noise}
    smg.tl.evaluate(adata, "cell_type", genes=lists, n_genes=[5, 10, 20], n_splits=3, n_random=1)
    smg.tl.panel(adata, "cell_type", n_genes=12)
    return adata


@pytest.fixture(scope="module")
def seven():
    return selected([f"type {i}" for i in range(7)])


@pytest.fixture(scope="module")
def forty():
    return selected([f"subtype {i} of 40" for i in range(40)], n_cells=600)


@pytest.fixture(scope="module")
def hostile():
    return selected(HOSTILE, genes=HOSTILE_GENES, n_genes=60)


@pytest.fixture(autouse=True)
def closed():
    yield
    mpl.pyplot.close("all")


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


def ticks(ax, axis):
    return [t.get_text() for t in getattr(ax, f"get_{axis}ticklabels")()]


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
@pytest.mark.parametrize("name", ["seven", "forty", "hostile"])
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
    given = mpl.pyplot.figure().add_subplot()
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


def test_forty_groups_have_forty_fills_and_the_first_eight_no_hatch(forty):
    bars = smg.pl.importance(forty).containers
    kinds = [(to_hex(part[0].get_facecolor()), part[0].get_hatch() or "") for part in bars]
    assert len(set(kinds)) == 40
    assert {hatch for _, hatch in kinds[:8]} == {""}
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


def test_confusion_shows_shares_of_the_true_group_and_prints_them(seven):
    counts = smg.get.confusion(seven)
    ax = smg.pl.confusion(seven)
    share = (counts.T / counts.sum(axis=1)).T.to_numpy()
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), share)
    printed = {t.get_position(): t.get_text() for t in ax.texts}
    expected = {(c, r): f"{100 * share[r, c]:.0f}" for r, c in zip(*np.nonzero(share >= 0.005), strict=True)}
    assert printed == expected


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
    assert legend == [*LISTS, *(f"random panels like {name}" for name in LISTS)]
    assert len(ax.containers) == 4
    for name, drawn in zip(legend, ax.containers, strict=True):
        rows = table[(table["genes"] == name.removeprefix(LIKE)) & (table["is_random"] == name.startswith(LIKE))]
        np.testing.assert_allclose(drawn.lines[0].get_xydata(), rows[["n_genes", "mean"]])
        ends = np.array([segment[:, 1] for segment in drawn.lines[2][0].get_segments()])
        np.testing.assert_allclose(ends, rows[["low", "high"]], atol=1e-9)
        assert drawn.lines[0].get_linestyle() == ("--" if name.startswith(LIKE) else "-")
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


def test_the_panel_is_drawn_as_its_tables_say(seven):
    pairs, curve = (smg.get.panel_table(seven, name) for name in ("pairs", "curve"))
    ax = smg.pl.panel_pairs(seven, n_pairs=6)
    np.testing.assert_allclose([p.get_width() for p in ax.patches], 1 - pairs["resolved"][:6])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), 1 - pairs["possible"][:6])
    assert ticks(ax, "y") == [f"{row.class_a}  ↔  {row.class_b}" for row in pairs[:6].itertuples()]
    lines = smg.pl.panel_curve(seven).lines
    np.testing.assert_allclose(lines[0].get_xydata(), curve[["n_genes", "resolution"]])
    np.testing.assert_allclose(lines[1].get_xydata(), curve[["n_genes", "half_resolved"]])
    np.testing.assert_allclose(lines[2].get_xydata(), curve[["n_genes", "of_bound"]][1:])
    share = np.asarray(smg.pl.panel_resolution(seven).images[0].get_array())
    np.testing.assert_allclose(share, share.T)
    np.testing.assert_allclose(np.sort(share[np.triu_indices(7, 1)]), np.sort(1 - pairs["resolved"]))


def test_without_confused_pairs_the_figure_says_so(seven):
    adata = seven.copy()
    adata.uns["smash"]["confusion"] = np.array([np.diag(np.diag(c)) for c in adata.uns["smash"]["confusion"]])
    ax = smg.pl.unresolved_pairs(adata)
    assert not ax.patches
    assert [t.get_text() for t in ax.texts] == ["No pair of groups was confused."]


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
