"""Elements of the report: numbers, bars, tables, words."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pytest
from cases.page import IMAGE, PAYLOAD, TAGS, Page

from smash_gpu.report._options import given
from smash_gpu.report._render import environment, significant
from smash_gpu.report._scores import score

mpl.use("Agg")


@pytest.fixture(scope="module")
def elements():
    return environment().get_template("elements.html").module


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"model": "rf", "options": {}}, ["Gini", "random forest", "z-score"]),
        ({"model": "brf", "n_models": 3}, ["balanced random forest", "mean of 3 models"]),
        ({"model": "xgboost", "options": {}}, ["summed gain", "z-score"]),
        ({"model": "xgboost", "options": {"importance": "gain"}}, ["mean gain", "z-score"]),
        ({"model": "xgboost", "options": {"importance": "shap"}}, ["TreeSHAP"]),
        ({"model": "dnn", "options": {}}, ["DeepLIFT", "from each other class"]),
        ({"model": "<Own object>"}, ["user-defined model"]),
    ],
)
def test_the_score_is_said_in_words(how, words):
    assert all(word in score(how) for word in words)
    assert "other class" not in score({"model": "dnn", "options": {"by_expression": False}})


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
        (0.0000774, "0.000077"),
    ],
)
def test_numbers_are_short_and_tell_their_size(value, said):
    assert significant(value) == said


def test_bars_are_as_long_as_their_share(elements):
    assert [re.search(r"--share:([\d.]+)%", elements.bar("x", s)).group(1) for s in (0.123, -1, 2, np.nan)] == [
        "12.3",
        "0.0",
        "100.0",
        "0.0",
    ]


@pytest.mark.parametrize("value", [PAYLOAD, IMAGE, "'", '"', "&amp;", "a > b"])
def test_text_is_escaped_where_it_is_printed_and_once(elements, value):
    for made in (elements.name(value), elements.row_name(elements.bar(value, 0.5))):
        assert Page(str(made)).text == value
    made = Page(str(elements.table(value, [(value, "name", value)], caller=lambda: "")))
    assert made.texts["span"] == made.texts["th"] == [value]
    assert made.all("th")[0]["title"] == made.all("div")[0]["aria-label"] == value
    assert {tag for tag, _ in made.elements} <= TAGS - {"img", "a"}


def test_options_that_limit_nothing_are_left_out_and_open_ranges_are_said_in_words():
    options = {"max_counts": (0.0, float("inf")), "mean_counts": (0.5, float("inf")), "layer": None, "tau": 2.0}
    assert given(options | {"groupby": ("a", "b")}) == {"mean_counts": "from 0.5", "tau": "2.0", "groupby": "a, b"}
