"""The report needs nothing else, and no name in it becomes markup."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from xml.etree import ElementTree

import anndata as ad
import matplotlib as mpl
import pytest
from cases.page import GENES, GROUPS, PAYLOAD, TAGS, Page, smash, without_date
from cells import planted
from jinja2 import UndefinedError

import smash_gpu as smg
from smash_gpu.report._figures import drawn
from smash_gpu.report._render import environment, render

mpl.use("Agg")


def test_the_page_nests_and_holds_only_known_elements(page, parsed):
    assert page.startswith("<!DOCTYPE html>\n<html")
    assert {tag for tag, _ in parsed.elements} <= TAGS
    assert len(parsed.all("h1")) == len(parsed.all("main")) == 1
    ids = [a["id"] for _, a in parsed.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    assert {a["href"] for a in parsed.all("a")} <= {f"#{name}" for name in ids}
    assert {a["aria-labelledby"] for a in parsed.all("section")} <= set(ids)
    assert parsed.all("html") == [{"lang": "en"}]


def test_tables_have_captions_and_scopes_and_figures_say_what_they_show(parsed, page, hostile):
    for body in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        assert re.match(r"<table>\s*<caption><span>", body)
        assert len(re.findall(r"<thead>", body)) == 1
    assert all(a["scope"] in ("col", "row", "rowgroup") for a in parsed.all("th"))
    assert all(len(a["alt"]) > 20 for a in parsed.all("img"))
    confused = len(smg.get.unresolved_pairs(hostile)) > 0  # no figure of pairs where the classifier confuses none
    assert len(parsed.all("img")) == len(parsed.all("figcaption")) == 4 + confused
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


def decoded(source):
    kind, data = source.removeprefix("data:image/").split(";base64,")
    return kind, base64.b64decode(data, validate=True)


def test_every_figure_decodes_and_refers_to_nothing_outside_itself(parsed):
    for image in parsed.all("img"):
        kind, data = decoded(image["src"])
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


def test_large_figures_become_png(hostile):
    made = drawn(smg.pl.confusion(hostile), largest_svg=1000)
    kind, data = decoded(made.source)
    height, width, _ = mpl.image.imread(io.BytesIO(data)).shape
    assert kind == "png"
    assert width / height == pytest.approx(made.width / made.height, rel=0.01)


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
    first, second = (drawn(smg.pl.dotplot(hostile, n_top=1)) for _ in range(2))
    assert first == second


def test_without_an_evaluation_or_figures_or_matplotlib_the_report_says_what_is_missing(adata, monkeypatch):
    smash(adata)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    parsed = Page(smg.report.page(adata, figures=False))
    assert "have not been evaluated. Run tl.evaluate" in parsed.text
    assert not parsed.all("img")
    with pytest.raises(ImportError):
        smg.report.page(adata)


def test_a_report_needs_a_selection(adata, tmp_path):
    with pytest.raises(KeyError, match=r"run tl\.smash first"):
        smg.report.write(adata, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_no_template_prints_a_value_that_is_not_escaped():
    templates = environment().list_templates(extensions=["html"])
    assert len(templates) > 5
    for name in templates:
        source, _, _ = environment().loader.get_source(environment(), name)
        assert not re.search(r"\bsafe\b|autoescape (true|false)|tojson|xmlattr", source), name


def test_characters_that_turn_text_around_are_nowhere_in_the_page(rng):
    turned = "\u202e{}\u2066<b>"
    adata = planted(rng, groups=("a", "b"))
    adata.obs["cell_type"] = adata.obs["cell_type"].map(turned.format)
    adata.obs[turned] = adata.obs["sample"].map(turned.format)
    adata.var_names = [turned.format(name) for name in adata.var_names]
    smash(adata, within=turned)
    smg.tl.evaluate(adata, "cell_type", genes={turned: smg.get.marker_panel(adata, 6)}, n_genes=[3, 6], n_splits=2)
    smg.tl.panel(adata, "cell_type", n_genes=4)
    page = smg.report.page(adata, title=turned, figures=False)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page)
    assert page.count("\N{REPLACEMENT CHARACTER}") > 100
    assert "<b>" not in page


def test_a_value_that_a_template_needs_and_does_not_get_is_an_error():
    with pytest.raises(UndefinedError, match="panel"):
        render("panel.html")


def test_a_bare_import_does_not_load_jinja():
    # anndata loads dask where it is installed, and dask loads Jinja
    code = "import sys; sys.modules['dask'] = None; import smash_gpu; print('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
