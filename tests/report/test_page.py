"""The report needs nothing else, and no name in it becomes markup."""

from __future__ import annotations

import base64
import io
import re
import sys
from xml.etree import ElementTree

import anndata as ad
import matplotlib as mpl
import pytest
from cases.page import GENES, GROUPS, IMAGE, PAYLOAD, Page, smash, without_date

import smash_gpu as smg
from smash_gpu.report._elements import element
from smash_gpu.report._elements import html as text_of
from smash_gpu.report._figures import figure

mpl.use("Agg")


TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "nav", "section", "h1", "h2", "p", "a", "dl",
    "dt", "dd", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "small", "i", "code", "ol", "li",
    "figure", "figcaption", "img",
}  # fmt: skip


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


@pytest.mark.slow
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
