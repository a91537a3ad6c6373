"""The report: everything that was found is in it, it needs nothing else, and no name in it becomes markup."""

import base64
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from inspect import signature
from xml.etree import ElementTree

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cells import planted
from scipy import sparse

import smash_gpu as smg
from smash_gpu import cli, evaluation
from smash_gpu.data.fingerprint import fingerprint
from smash_gpu.report._elements import Column, bar, element, number, table
from smash_gpu.report._elements import html as text_of
from smash_gpu.report._figures import figure
from smash_gpu.report._scores import BY_EXPRESSION, DEFAULT_GAIN, score

mpl.use("Agg")
FEW_TREES = {"n_estimators": 20}
PAYLOAD = "<script>self.pwned=1</script>"
IMAGE = '"><img src=x onerror=self.pwned=1>'
GROUPS = (PAYLOAD, "NK/T & 'co'", "$x_1$ " + "endless" * 15)
GENES = (IMAGE, "</style><script>self.pwned=1</script>", "&lt;b&gt;", "\u202ere\x00versed", "<!-- -->")
VOID = {"img", "meta", "br"}
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "nav", "section", "h1", "h2", "p", "a", "dl",
    "dt", "dd", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "small", "i", "code", "ol", "li",
    "figure", "figcaption", "img",
}  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Page(HTMLParser):
    """Elements, texts and attributes of a page; a tag that does not nest is an error."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.texts = [], [], {}
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        assert len(dict(attributes)) == len(attributes), attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return "\n".join(text for tag, texts in self.texts.items() if tag != "style" for text in texts)


def rows_of(page, caption):
    """Cells of the table with this caption, as texts, row by row."""
    body = next(t for t in re.findall(r"<table>.*?</table>", page, re.DOTALL) if html.escape(caption) in t)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr.*?</tr>", body)]
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row] for row in cells]


def hostile_cells():
    adata = planted(np.random.default_rng(2), n_cells=200, n_genes=50, groups=GROUPS)
    names = adata.var_names.to_numpy().copy()
    names[: len(GENES)] = GENES
    adata.var_names = names
    return adata


def smash(adata, **options):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, **({"inverse_pca": False, "n_top": 3} | options))


@pytest.fixture(scope="module")
def hostile():
    adata = hostile_cells()
    smash(adata, sample_key="sample", random_state=7)
    lists = {
        IMAGE: smg.get.marker_panel(adata, 12),
        "noise": [n for n in adata.var_names if n.startswith("NOISE")][:12],
    }
    smg.tl.evaluate(adata, "cell_type", genes=lists, n_genes=[4, 12], n_random=1)
    return adata


@pytest.fixture(scope="module")
def page(hostile):
    return smg.report.page(hostile, title=f"Of {PAYLOAD}")


@pytest.fixture(scope="module")
def parsed(page):
    return Page(page)


def test_the_page_nests_and_holds_only_known_elements(page, parsed):
    assert page.startswith("<!DOCTYPE html>\n<html")
    assert {tag for tag, _ in parsed.elements} <= TAGS
    assert len(parsed.all("h1")) == len(parsed.all("main")) == 1
    ids = [a["id"] for _, a in parsed.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    assert {a["href"] for a in parsed.all("a")} <= {f"#{name}" for name in ids}
    assert {a["aria-labelledby"] for a in parsed.all("section")} <= set(ids)
    assert parsed.all("html") == [{"lang": "en"}]


def test_tables_have_captions_and_scopes_and_figures_say_what_they_show(parsed, page):
    for body in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        assert body.startswith("<table><caption><span>")
        assert len(re.findall(r"<thead>", body)) == 1
    assert all(a["scope"] in ("col", "row", "rowgroup") for a in parsed.all("th"))
    assert all(len(a["alt"]) > 20 for a in parsed.all("img"))
    assert len(parsed.all("img")) == len(parsed.all("figcaption")) == 5
    assert all(a["aria-label"] for a in parsed.all("div") if a.get("class") == "scroll")


def test_nothing_is_fetched_from_anywhere(parsed, page):
    for tag, attributes in parsed.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), (tag, attributes)
        assert "url(" not in attributes.get("style", "")
    style = "".join(parsed.texts["style"])
    assert "{" in style
    assert not re.search(r"url\(|@import|@font-face", style)
    policy = next(a["content"] for a in parsed.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "http://" not in page
    assert "https://" not in page


def pictures(parsed):
    for image in parsed.all("img"):
        kind, data = image["src"].removeprefix("data:image/").split(";base64,")
        yield kind, base64.b64decode(data, validate=True), image


def test_every_figure_decodes_and_refers_to_nothing_outside_itself(parsed):
    for kind, data, image in pictures(parsed):
        assert kind == "svg+xml"
        root = ElementTree.fromstring(data)
        width, height = (float(root.get(side).removesuffix("pt")) for side in ("width", "height"))
        for node in root.iter():
            assert node.tag.rpartition("}")[2] not in ("script", "foreignObject", "metadata")
            for name, value in node.attrib.items():
                assert not name.startswith("on")
                assert name.rpartition("}")[2] != "href" or value.startswith(("#", "data:image/png;base64,"))
                assert not re.search(r"url\((?!#)", value)
        assert b"<!--" not in data
        assert b"pwned" not in data
        assert width / height == pytest.approx(float(image["width"]) / float(image["height"]), rel=0.01)


def test_large_figures_become_png(monkeypatch, hostile):
    monkeypatch.setattr("smash_gpu.report._figures.LARGEST_SVG", 1000)
    ((kind, data, image),) = pictures(Page(figure(smg.pl.confusion(hostile), "shares", "a matrix")))
    height, width, _ = mpl.image.imread(io.BytesIO(data)).shape
    assert kind == "png"
    assert width / height == pytest.approx(float(image["width"]) / float(image["height"]), rel=0.01)


def test_hostile_names_are_text_and_nothing_else(parsed, page):
    assert not parsed.all("script")
    assert not [a for _, a in parsed.elements if any(name.startswith("on") for name in a)]
    assert len(parsed.all("style")) == 1
    for name in (*GROUPS, *GENES[:3], GENES[4]):
        assert name in parsed.text
    assert parsed.texts["h1"] == parsed.texts["title"] == [f"Of {PAYLOAD}"]
    assert "\u202e" not in page
    assert "\x00" not in page
    assert "\N{REPLACEMENT CHARACTER}re\N{REPLACEMENT CHARACTER}versed" in parsed.text


@pytest.mark.parametrize("value", [PAYLOAD, IMAGE, "'", '"', "&amp;", "a > b"])
def test_text_is_escaped_where_it_stands_and_once(value):
    for made in (element("p", value), element("p", title=value), element("p", element("i", value))):
        parsed = Page(str(made))
        assert value in parsed.text or parsed.all("p")[0].get("title") == value
        assert {tag for tag, _ in parsed.elements} <= {"p", "i"}
    assert text_of(text_of(value)) == text_of(value)


def test_the_markers_are_all_there_with_the_reasons_for_each(hostile, page):
    found = smg.get.markers(hostile)
    rows = rows_of(page, "Markers of each group")
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
    assert rows["in the group"].str[2:].tolist() == found["direction"].map({"up": "higher", "down": "lower"}).tolist()
    for column, share in (("cells in", "fraction_in"), ("cells out", "fraction_out"), ("samples", "samples")):
        assert rows[column].tolist() == [f"{100 * x:.0f} %" for x in found[share]]
    for column in ("mean in", "mean out"):
        assert rows[column].tolist() == [f"{x:.2f}" for x in found[column.replace(" ", "_")]]
    mean = pd.DataFrame(hostile.varm["smash_mean"], index=hostile.var_names, columns=hostile.uns["smash"]["groups"])
    nearest = [mean.loc[r["name"]].drop(str(r["group"])) for _, r in found.iterrows()]
    assert rows["nearest other group"].tolist() == [f"{m.idxmax()} {m.max():.2f}" for m in nearest]


def test_a_gene_that_is_low_in_its_group_is_said_to_be_and_beside_the_lowest_other(adata):
    adata.X = sparse.csr_matrix(adata.X)
    smash(adata, filters={"max_groups": 1.5})
    table = adata.uns["smash"]["markers"]
    table.loc[0, "direction"] = "down"
    row = rows_of(smg.report.page(adata, figures=False), "Markers of each group")[2]
    mean = pd.DataFrame(adata.varm["smash_mean"], index=adata.var_names, columns=adata.uns["smash"]["groups"])
    others = mean.loc[table.loc[0, "name"]].drop(str(table.loc[0, "group"]))
    assert row[3] == "↓ lower"
    assert row[8] == f"{others.idxmin()} {others.min():.2f}"


def test_data_and_ledger_are_summed_up(hostile, page, parsed):
    cells = hostile.obs["cell_type"].value_counts(sort=False)
    rows = rows_of(page, "Groups of cells")[1:]
    assert [(row[0], row[1]) for row in rows] == [(g, str(n)) for g, n in cells.items()]
    counts = pd.Series(hostile.X.sum(axis=1).A1).groupby(hostile.obs["cell_type"].to_numpy()).mean()
    assert [row[4] for row in rows] == [f"{round(counts[row[0]]):,}" for row in rows]
    ledger = hostile.uns["smash"]["filters"]
    assert rows_of(page, "What each rule removed")[1:] == [
        [r.rule, f"{r.matched:,}", f"{r.removed:,}", f"{r.left:,}"] for r in ledger.itertuples()
    ]


def test_metrics_beside_chance_have_their_intervals(hostile, page, parsed):
    case = smg.get.evaluation(hostile)
    is_random = smg.get.evaluation(hostile, is_random=True)
    rows = {row[0].split(" 1 − ")[0]: row for row in rows_of(page, "Metrics of held-out cells")}

    def said(row):
        return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"

    for metric in evaluation.METRICS:
        row = next(row for name, row in rows.items() if name.startswith(metric.replace("_", " ")))
        assert row[1] == said(case.loc[metric])
        assert said(is_random.loc[metric]) in row
    assert f"{case.loc['misclassification', 'mean']:.3f}" in parsed.texts["dd"]
    curve = smg.get.learning_curve(hostile)
    rows = rows_of(page, "Learning curve")[1:]
    assert [row[2] for row in rows] == [said(row) for _, row in curve.iterrows()]
    groups = smg.get.group_metrics(hostile)
    assert [row[2] for row in rows_of(page, "Groups. List")[1:]] == [
        said(row) for _, row in groups[groups["metric"] == "recall"].iterrows()
    ]
    pairs = smg.get.unresolved_pairs(hostile)
    if len(pairs):
        assert [row[:2] for row in rows_of(page, "Groups that are taken for each other")[1:]] == pairs[
            ["group", "other"]
        ].values.tolist()


def test_lists_that_were_given_are_said_to_be_flattered_and_a_repeated_selection_to_be_clean(hostile, adata, parsed):
    assert "Where a list was chosen on these cells, it is flattered." in parsed.text
    assert "Chosen anew" not in parsed.text
    smash(adata)
    smg.tl.evaluate(adata, "cell_type", n_genes=9, n_splits=2)
    text = Page(smg.report.page(adata, figures=False)).text
    assert "no held-out cell took part in it: selection." in text
    assert "flattered" not in text
    chosen = smg.get.evaluation_panels(adata).groupby("name")["split"].nunique()
    genes = re.findall(r"<li><i>(.*?)</i><small> (\d)/2</small>", smg.report.page(adata, figures=False))
    assert genes == [(g, str(chosen.get(g, 0))) for g in smg.get.marker_panel(adata, 9)]


def test_seed_parameters_versions_date_and_fingerprint_are_there(hostile, page):
    rows = {row[0]: row[1] for row in rows_of(page, "Parameters of every step")[1:] if len(row) == 2}
    assert rows["groupby"] == "cell_type"
    assert rows["sample_key"] == "sample"
    assert rows["min_fraction"] == "0.3"
    versions = {row[0]: row[1] for row in rows_of(page, "Versions that made the results")[1:]}
    assert versions["smash-gpu"] == smg.__version__
    assert versions["numpy"] == np.__version__
    assert re.search(r"<dt>Seed</dt><dd>7</dd>", page)
    assert re.search(r"<dt>Written</dt><dd>20\d\d-\d\d-\d\d \d\d:\d\d UTC</dd>", page)
    assert fingerprint(hostile.X, hostile.var_names, hostile.obs["cell_type"]) in page


def without_date(page):
    return re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", "", page)


def test_two_reports_of_one_file_are_equal_but_for_the_date(adata, tmp_path):
    smash(adata)
    smg.tl.evaluate(adata, "cell_type", n_genes=[3, 9], n_splits=2)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    adata.write_zarr(tmp_path / "cells.zarr")
    pages = [
        smg.report.page(a, figures=False)
        for a in (adata, ad.read_h5ad(tmp_path / "cells.h5ad"), ad.read_zarr(tmp_path / "cells.zarr"))
    ]
    assert without_date(pages[0]) == without_date(pages[1]) == without_date(pages[2])


def test_a_figure_is_the_same_bytes_every_time(hostile):
    first, second = (figure(smg.pl.dotplot(hostile, n_top=1), "", "") for _ in range(2))
    assert first == second


def test_without_an_evaluation_or_figures_or_matplotlib_the_report_says_what_is_missing(adata, monkeypatch):
    smash(adata)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    parsed = Page(smg.report.page(adata, figures=False))
    assert "have not been judged: run tl.evaluate" in parsed.text
    assert not parsed.all("img")
    with pytest.raises(ImportError):
        smg.report.page(adata)


def test_a_report_needs_a_selection(adata, tmp_path):
    with pytest.raises(KeyError, match=r"run tl\.smash first"):
        smg.report.write(adata, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_cells_and_groups_that_were_left_out_are_counted(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy().copy()
    labels[:5] = "rare"
    adata.obs["cell_type"] = labels
    adata.obs.loc[adata.obs_names[5:8], "cell_type"] = np.nan
    with pytest.warns(UserWarning):
        smash(adata, min_cells=10)
        page = smg.report.page(adata, figures=False)
    assert f"<dd>{adata.n_obs - 8:,}, and 8 left out</dd>" in page
    assert "rare" not in [row[0] for row in rows_of(page, "Groups of cells")]


def test_selections_inside_broad_groups_and_other_conditions_are_shown(rng):
    adata = planted(rng, groups=("a", "b", "c", "d"))
    adata.obs["broad"] = np.where(adata.obs["cell_type"].isin(["a", "b"]), "left", "right")
    smash(adata, within="broad")
    smg.tl.evaluate(
        adata, "cell_type", genes=smg.get.marker_panel(adata, 9), classifier=["knn", "logreg"], thin=0.5, n_splits=2
    )
    page = smg.report.page(adata)
    assert Page(page)
    assert [row[0] for row in rows_of(page, "What each rule removed") if len(row) == 1] == [
        "inside left",
        "inside right",
    ]
    rows = rows_of(page, "Markers of each group")[1:]
    part = None
    for row in rows:
        part = row[0] if len(row) == 1 else part
        assert len(row) == 1 or row[8].startswith(part.split(" / ")[0])
    conditions = rows_of(page, "Other classifiers and poorer data")
    assert conditions[0][:3] == ["genes", "judged by", "counts kept"]
    assert len(conditions) == 5


def test_log_normalised_values_are_named_as_such(adata):
    adata.X = sparse.csr_matrix(np.log1p(1e4 * adata.X.toarray() / adata.X.sum(axis=1).A1[:, None]))
    smash(adata, normalize=False)
    page = smg.report.page(adata, figures=False)
    assert "<dd>X, log-normalised</dd>" in page
    assert "counts a cell" not in page


def test_a_designed_panel_gets_a_chapter(adata):
    smash(adata)
    assert "designed" not in smg.report.page(adata, figures=False)
    genes = pd.DataFrame({"rank": [1, 2], "name": [IMAGE, "B"], "gain": [0.51234, np.nan], "substitute": [None, "C"]})
    curve = pd.DataFrame({"n_genes": range(300), "resolution": np.linspace(0, 1, 300)})
    adata.uns["smash_panel"] = {"genes": genes, "curve": curve, "rules": genes[:0], "params": {}}
    page = smg.report.page(adata, figures=False)
    parsed = Page(page)
    assert not [a for a in parsed.all("img") if "onerror" in a]
    assert rows_of(page, "The panel in the order of choice")[1:] == [[IMAGE, "1", "0.512", "–"], ["B", "2", "–", "C"]]
    curve = rows_of(page, "Size against resolution")[1:]
    assert (curve[0][0], curve[-1][0]) == ("0", "299")
    assert "Genes that the rules removed" not in page


def test_a_designed_panel_is_drawn_with_its_hostile_names():
    adata = hostile_cells()
    smash(adata)
    smg.tl.panel(adata, "cell_type", n_genes=8)
    page = smg.report.page(adata)
    parsed = Page(page)
    assert len(parsed.all("img")) == 4
    assert not parsed.all("script")
    genes = [row[0] for row in rows_of(page, "The panel in the order of choice")[1:]]
    assert [gene.replace("\N{REPLACEMENT CHARACTER}", "") for gene in genes] == [
        name.translate({0x202E: None, 0: None}) for name in smg.get.panel(adata)
    ]


def test_a_panel_of_tl_panel_is_drawn_and_listed(adata):
    smash(adata)
    before = len(Page(smg.report.page(adata)).all("img"))
    smg.tl.panel(adata, "cell_type", n_genes=5)
    page = smg.report.page(adata)
    assert len(Page(page).all("img")) == before + 2
    listed = [row[0] for row in rows_of(page, "The panel in the order of choice")[1:]]
    assert listed == smg.get.panel_table(adata)["name"].tolist()
    assert len(rows_of(page, "Pairs of classes, the least resolved first")) == 1 + 3


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"model": "rf", "options": {}}, ["Gini", "random forest", "z-score"]),
        ({"model": "brf", "n_models": 3}, ["balanced random forest", "mean of 3 models"]),
        ({"model": "xgboost", "options": {}}, ["summed gain", "z-score"]),
        ({"model": "xgboost", "options": {"importance": "gain"}}, ["mean gain", "z-score"]),
        ({"model": "xgboost", "options": {"importance": "shap"}}, ["TreeSHAP"]),
        ({"model": "dnn", "options": {}}, ["DeepLIFT", "z-score"]),
        ({"model": "<Own object>"}, ["the user's own"]),
    ],
)
def test_the_score_is_said_in_words(how, words):
    assert all(word in score(how) for word in words)
    assert "z-score" not in score({"model": "dnn", "options": {"by_expression": False}})


def test_defaults_of_the_models_are_those_that_the_words_assume():
    pytest.importorskip("torch")
    pytest.importorskip("xgboost")
    from smash_gpu.models.boosted import Boosted
    from smash_gpu.models.network import Network

    assert signature(Boosted).parameters["importance"].default == DEFAULT_GAIN
    assert signature(Network).parameters["by_expression"].default is BY_EXPRESSION


def test_groups_without_markers_are_named(adata):
    with pytest.warns(UserWarning):
        smash(adata, sample_key="sample", sample_fraction=1.01)
    page = smg.report.page(adata)
    assert "No gene may be a marker of A, B / b, CD4+ T:" in Page(page).text
    assert len(rows_of(page, "Markers of each group")) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.5, "0.500"),
        (12, "12"),
        (12345, "12,345"),
        (1234.5, "1,234"),
        (-0.01234, "−0.0123"),
        (np.nan, "–"),
        (0.0, "0"),
    ],
)
def test_numbers_are_short_and_tell_their_size(value, said):
    assert number(value) == said


def test_bars_are_as_long_as_their_share():
    assert [re.search(r"--share:([\d.]+)%", bar("x", s)).group(1) for s in (0.123, -1, 2, np.nan)] == [
        "12.3",
        "0.0",
        "100.0",
        "0.0",
    ]


def test_a_heading_stands_above_the_row_that_it_is_for():
    made = table("t", [Column("a", ["1", "2", "3"])], headings=[(0, "first"), (2, "last")])
    assert re.findall(r">(first|last|[123])<", made) == ["first", "1", "2", "last", "3"]


@pytest.fixture
def counts(rng):
    return sparse.random(37, 11, 0.3, "csr", random_state=1, data_rvs=lambda n: rng.integers(1, 9, n).astype(float))


NAMES, LABELS = [f"g{i}" for i in range(11)], ["a", "b", None] * 12 + ["a"]


def test_the_fingerprint_is_the_same_wherever_the_values_are(hold, counts):
    assert fingerprint(hold(counts), NAMES, LABELS) == fingerprint(counts, NAMES, LABELS)


def test_the_fingerprint_does_not_see_how_values_are_stored(counts):
    explicit = counts.copy()
    explicit.data[:3] = 0
    before = explicit.data.copy()
    implicit = explicit.copy()
    implicit.eliminate_zeros()
    assert fingerprint(explicit, NAMES, LABELS) == fingerprint(implicit.astype(np.int32), NAMES, LABELS)
    assert (explicit.data == before).all()


def test_the_fingerprint_sees_every_value_name_and_label_and_their_order(counts):
    dense = counts.toarray()
    other = dense.copy()
    other[36, 10] += 1
    swapped = [NAMES[1], NAMES[0], *NAMES[2:]]
    seen = [
        fingerprint(matrix, names, labels)
        for matrix, names, labels in (
            (dense, NAMES, LABELS), (other, NAMES, LABELS), (dense[::-1], NAMES, LABELS),
            (dense[:, ::-1], NAMES, LABELS),
            (dense, swapped, LABELS), (dense, ["g0g1", "", *NAMES[2:]], LABELS), (dense, NAMES, LABELS[::-1]),
            (dense, NAMES, ["-" if label is None else label for label in LABELS]), (dense.T, NAMES, LABELS),
            (dense.reshape(11, 37), NAMES, LABELS),
        )
    ]  # fmt: skip
    assert len(set(seen)) == len(seen)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        try:
            code = cli.main(["report", *map(str, arguments), "--groupby", "cell_type"])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def data(adata, tmp_path):
    adata.write_h5ad(tmp_path / "my cells.h5ad")
    return tmp_path / "my cells.h5ad"


QUICK = ("--n-splits", 2, "--n-random", 1)


def test_the_command_selects_judges_and_writes_one_file(run, data, tmp_path):
    out = tmp_path / "new" / "report.html"
    code, said, _ = run(data, "--out", out, *QUICK, "--n-genes", 3, 6, "--n-top", 2)
    assert code == 0
    steps = ["240 cells × 60 genes", "Selecting markers, model rf", "Judging 3, 6 genes in 2 splits", f"Writing {out}"]
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    assert len(re.findall(r"^  [\d.]+ s$", said, re.MULTILINE)) == 3
    assert [p.name for p in out.parent.iterdir()] == ["report.html"]
    page = out.read_text(encoding="utf-8")
    assert Page(page).texts["h1"] == ["Marker genes of my cells"]
    assert "no held-out cell took part in it: selection." in page
    assert "random panels like selection" in page
    assert [row[1] for row in rows_of(page, "Learning curve")[1:3]] == ["3", "6"]
    markers = [row for row in rows_of(page, "Markers of each group")[1:] if len(row) > 1]
    assert len(markers) == 6


def test_sizes_for_which_there_are_too_few_genes_are_left_out_and_named(run, data, tmp_path):
    code, said, _ = run(data, "--out", tmp_path / "r.html", *QUICK, "--no-figures", "--no-inverse-pca")
    assert code == 0
    assert re.search(r"Not judged: (50, )?100 genes, since \d+ have a score", said)
    assert "<img" not in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.fixture
def judged(adata, tmp_path):
    smash(adata, random_state=5)
    smg.tl.evaluate(adata, "cell_type", n_genes=[3, 6], n_splits=2, random_state=5)
    adata.write_h5ad(tmp_path / "judged.h5ad")
    return tmp_path / "judged.h5ad"


def test_results_in_the_file_are_used_and_said_to_be(run, judged, tmp_path):
    code, said, _ = run(judged, "--out", tmp_path / "r.html", "--no-figures")
    assert code == 0
    assert "Using the selection in the file (model rf, seed 5)" in said
    assert "Using the evaluation in the file (2 splits, seed 5)" in said
    assert "Selecting" not in said
    assert "Judging" not in said
    expected = smg.report.page(ad.read_h5ad(judged), title="Marker genes of judged", figures=False)
    assert without_date((tmp_path / "r.html").read_text(encoding="utf-8")) == without_date(expected)


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
    assert "Judging 3 genes" in said
    for what in anew - {"evaluation"}:
        assert f"The {what} in the file is made anew: {options[0]}" in said


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
    code, _, error = run(tmp_path / "c.h5ad", "--out", tmp_path / "r.html", *options)
    assert (code, error) == (0, "")
    assert "flattered" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_folder_in_place_of_the_file_is_answered_before_any_work(run, data, tmp_path):
    code, said, error = run(data, "--out", tmp_path)
    assert (code, said) == (2, "")
    assert "names the HTML file to write" in error


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("SMASH_BROWSER_REQUIRED") == "1":
        pytest.fail(f"SMASH_BROWSER_REQUIRED=1, but none of {', '.join(BROWSERS)} is installed")
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    return found


def browse(browser, folder, *pages, width):
    """Open the pages in frames of this width, and measure them there."""
    probe = """
    const measure = frame => {
      const inner = frame.contentDocument, images = [...inner.images];
      const fetched = frame.contentWindow.performance.getEntriesByType("resource").map(r => r.name);
      return {
        wide: inner.documentElement.scrollWidth, images: images.length, pwned: frame.contentWindow.pwned ?? 0,
        drawn: images.filter(i => i.complete && i.naturalWidth > 50).length, scripts: inner.scripts.length,
        fetched: fetched.filter(name => !name.startsWith("data:")), title: inner.title,
        scrolling: [...inner.querySelectorAll(".scroll")].filter(b => b.scrollWidth > b.clientWidth).length,
        size: parseFloat(getComputedStyle(inner.querySelector("td")).fontSize),
      };
    };
    onload = () => {
      document.querySelector("pre").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(measure));
    };"""
    frames = "".join(
        f'<iframe style="width:{width}px;height:800px;border:0" srcdoc="{html.escape(page)}"></iframe>'
        for page in pages
    )
    (folder / "probe.html").write_text(f"<pre></pre>{frames}<script>{probe}</script>", encoding="utf-8")
    headless = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    shown = subprocess.run(
        [*headless, "--virtual-time-budget=5000", "--dump-dom", (folder / "probe.html").as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    ).stdout  # fmt: skip
    return json.loads(html.unescape(re.search(r"<pre>(\[.*?\])</pre>", shown, re.DOTALL).group(1)))


@pytest.mark.parametrize(("width", "scrolls"), [(360, True), (1200, False)])
def test_a_browser_shows_the_page_without_scripts_requests_or_sideways_scrolling(
    browser, page, tmp_path, width, scrolls
):
    (found,) = browse(browser, tmp_path, page, width=width)
    assert found["wide"] <= width
    assert found["drawn"] == found["images"] == 5
    assert found["fetched"] == []
    assert (found["pwned"], found["scripts"]) == (0, 0)
    assert found["title"] == f"Of {PAYLOAD}"
    assert found["size"] >= 13
    if scrolls:
        assert found["scrolling"] > 3  # wide tables and figures, each in its box


def test_names_are_harmless_in_a_browser_even_without_the_policy(browser, hostile, tmp_path):
    page = smg.report.page(hostile, title=f"Of {PAYLOAD}", figures=False)
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert bare != page
    attacked, blocked = (one.replace("</body>", f"{PAYLOAD}</body>") for one in (bare, page))
    found = browse(browser, tmp_path, bare, attacked, blocked, width=800)
    assert [one["pwned"] for one in found] == [0, 1, 0]  # the second shows that a script that runs would be seen
