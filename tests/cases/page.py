"""A parser of the report, and selections to report."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import numpy as np
from cells import planted

import smash_gpu as smg

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
        return "\n".join(
            " ".join(text.split()) for tag, texts in self.texts.items() if tag != "style" for text in texts
        )


def rows_of(page, caption):
    """Cells of the table with this caption, as texts, row by row."""
    body = next(t for t in re.findall(r"<table>.*?</table>", page, re.DOTALL) if html.escape(caption) in t)
    rows = re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in cells]


def under_headings(rows):
    """Rows of a table, each with the heading above it in front."""
    found, heading = [], None
    for row in rows:
        heading = row[0] if len(row) == 1 else heading
        found += [[heading, *row]] if len(row) > 1 else []
    return found


def hostile_cells():
    adata = planted(np.random.default_rng(2), n_cells=200, n_genes=50, groups=GROUPS)
    names = adata.var_names.to_numpy().copy()
    names[: len(GENES)] = GENES
    adata.var_names = names
    return adata


def smash(adata, **options):
    smg.tl.smash(adata, "cell_type", model_options=FEW_TREES, **({"n_top": 3} | options))


def without_date(page):
    return re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", "", page)
