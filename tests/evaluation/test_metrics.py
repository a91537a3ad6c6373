"""Metrics against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from cases.evaluation import plain_metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from smash_gpu import evaluation


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_metrics_are_the_plain_loop(pairs):
    true, predicted = map(list, zip(*pairs, strict=True))
    found = evaluation.metrics_of_labels(np.array(true), np.array(predicted))
    assert tuple(found) == evaluation.METRICS
    assert found == pytest.approx(plain_metrics(true, predicted), nan_ok=True)


def test_a_group_that_is_never_predicted_has_precision_and_f1_of_nought(recwarn):
    found = evaluation.metrics_of_labels(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
    expected = {
        "misclassification": 1 / 4,
        "macro_1_minus_precision": 1 - (3 / 4 + 0) / 2,
        "macro_1_minus_recall": 1 - (1 + 0) / 2,
        "f1_weighted": 3 / 4 * 6 / 7,
        "f1_macro": 6 / 7 / 2,
        "accuracy": 3 / 4,
        "balanced_accuracy": 1 / 2,
        "cohen_kappa": 0,
        "mcc": 0,
    }
    assert found == pytest.approx(expected)
    assert not recwarn.list


def test_a_perfect_prediction_reads_nought_and_one():
    found = evaluation.metrics_of_labels(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 2]))
    assert list(found.values()) == [0, 0, 0, 1, 1, 1, 1, 1, 1]


def test_metrics_disagree_on_unbalanced_groups():
    """99 cells right and the one rare cell wrong: 1 % of the cells, half of the groups."""
    found = evaluation.metrics_of_labels(np.append(np.zeros(99, dtype=int), 1), np.zeros(100, dtype=int))
    assert found["misclassification"] == pytest.approx(0.01)
    assert found["macro_1_minus_recall"] == pytest.approx(0.5)
