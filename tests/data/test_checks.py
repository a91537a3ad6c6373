"""What the values of each cell look like: summed per part, in every container, the same wherever it is computed."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from cells import Kind
from scipy import sparse

from smash_gpu.blocks.fold import fold
from smash_gpu.compute import ops
from smash_gpu.compute.xp import to_host
from smash_gpu.data.checks import COLUMNS, ValueChecks


def checks_of(X, code=None, n_parts=1, device="cpu"):
    code = np.zeros(X.shape[0], dtype=int) if code is None else code
    return fold(X, partial(ValueChecks.of, n_parts=n_parts), code, device=device).to_host()


def logged(counts, total=1e4):
    return np.log1p(total * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_values_are_counted_in_every_part(hold):
    values = np.array([[1.0, 0, 2.5], [-1, np.nan, 30], [np.inf, 3, 0], [0, 0, 0], [0.5, 21, 0]])
    found = checks_of(hold(values), np.array([0, 1, 1, 2, 2]), 3, hold.device)
    numbers = {name: found[name].tolist() for name in COLUMNS[:9]}
    assert numbers == {
        "nonzero": [2, 5, 2], "not_finite": [0, 2, 0], "negative": [0, 1, 0], "fractional": [1, 0, 1],
        "large": [0, 2, 1], "cells": [1, 2, 1], "fractional_cells": [1, 0, 1], "values": [2, 0, 2],
        "large_among": [0, 0, 1],
    }  # fmt: skip
    assert found.total("nonzero") == 9


def test_parts_that_are_mixed_within_a_block_are_kept_apart(hold, rng):
    counts, code = rng.poisson(1.0, (50, 7)) * rng.choice([1, 0.5, 30], (50, 1)), rng.integers(0, 4, 50)
    found = checks_of(hold(counts), code, 4, hold.device)
    for part in range(4):
        alone = checks_of(sparse.csr_matrix(counts[code == part].astype(np.float32)))
        np.testing.assert_allclose(found.sums[part], alone.sums[0], rtol=1e-6)


@pytest.mark.parametrize("total", [1.0, 1e4, 1e6])
def test_scaled_counts_have_the_same_sum_in_every_cell_and_logarithms_that_of_expm1(hold, rng, total):
    counts = rng.poisson(rng.uniform(0.5, 3, (40, 1)), (40, 30)).astype(float)
    counts[7] = 0  # a cell without values has no sum
    scaled = checks_of(hold(total * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)), device=hold.device)
    np.testing.assert_allclose(scaled.same_sum("scaled"), total, rtol=1e-4)
    logs = checks_of(hold(logged(counts, total)), device=hold.device)
    np.testing.assert_allclose(logs.same_sum("logged"), total, rtol=1e-4)
    assert np.isnan(logs.same_sum("scaled")).all()
    assert np.isnan(scaled.same_sum("logged")).all()


def test_neither_sum_is_the_same_for_counts_and_corrected_counts(hold, rng):
    counts = rng.poisson(rng.uniform(0.5, 3, (40, 1)), (40, 30)).astype(float)
    for values in (counts, np.where(counts > 0, counts - 0.4, 0), rng.gamma(0.5, size=(40, 30))):
        found = checks_of(hold(values), device=hold.device)
        assert np.isnan(found.same_sum("scaled")).all()
        assert np.isnan(found.same_sum("logged")).all()


def test_whole_numbers_with_the_same_sum_are_counts(rng):
    """As after ``scanpy.pp.downsample_counts``."""
    found = checks_of(sparse.csr_matrix(rng.multinomial(500, np.full(30, 1 / 30), 40)))
    assert np.isnan(found.same_sum("scaled")).all()


def test_few_cells_have_no_sum_in_common(rng):
    counts = rng.poisson(2.0, (4, 30)).astype(float)
    assert np.isnan(checks_of(sparse.csr_matrix(logged(counts))).same_sum("logged")).all()


@pytest.mark.container(skip=Kind.DASK | Kind.DISK)
@pytest.mark.parametrize("n_cells", [1, 9, 3000])
def test_the_sums_of_a_large_block_are_those_of_some_of_its_cells(hold, rng, n_cells, monkeypatch):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 10_000)
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_DEVICE_BLOCK", 10_000)
    values = sparse.random(n_cells, 200, 0.5, format="csr", random_state=0)
    values.data += 0.5
    block = sparse.csr_matrix(hold(values).get()) if hold.device == "cuda" else sparse.csr_matrix(hold(values))
    sums = to_host(ops.value_checks(block, 20.0)[1])
    known = ~np.isnan(sums[0])
    assert known.all() if n_cells < 10 else 100 < known.sum() < n_cells
    np.testing.assert_array_equal(known, ~np.isnan(sums[1]))
    dense = block.toarray()
    np.testing.assert_allclose(sums[0][known], dense.sum(axis=1)[known], rtol=1e-5)
    np.testing.assert_allclose(sums[1][known], np.expm1(dense).sum(axis=1)[known], rtol=1e-5)


def test_the_number_of_parts_does_not_change_a_total(rng):
    counts, code = rng.poisson(1.0, (50, 7)) * 0.5, rng.integers(0, 4, 50)
    found = checks_of(sparse.csr_matrix(counts), code, 4)
    np.testing.assert_allclose(found.of_parts(1).sums, checks_of(sparse.csr_matrix(counts)).sums)
    assert found.of_parts(4) is found
