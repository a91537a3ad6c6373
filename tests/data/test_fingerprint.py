"""The fingerprint sees values, names and labels, not how they are stored."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from scipy import sparse

from smash_gpu.data.fingerprint import fingerprint

mpl.use("Agg")


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
