"""Leading eigenvectors against a full decomposition, and how many threads they take."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from smash_gpu.compute import eigen


@pytest.mark.parametrize("n", [1, 2, 3, 10, 57])
@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_leading_eigenvectors_are_those_of_the_full_decomposition(rng, n, share):
    x = rng.normal(size=(2 * n, n))
    matrix, seen = x.T @ x, []
    wanted = max(1, int(share * n))
    axes = eigen.leading(matrix.copy(), lambda values: seen.append(values) or wanted)
    values, vectors = np.linalg.eigh(matrix)
    np.testing.assert_allclose(seen[0], values[::-1])
    assert axes.shape == (n, wanted)
    np.testing.assert_allclose(np.abs(axes.T @ vectors[:, ::-1]), np.eye(n)[:wanted], atol=1e-8)


def test_equal_eigenvalues_have_orthogonal_vectors():
    axes = eigen.leading(np.diag([3.0, 1.0, 3.0, 3.0, 1.0]), lambda values: 3)
    np.testing.assert_allclose(axes @ axes.T, np.diag([1.0, 0, 1, 1, 0]), atol=1e-12)


@pytest.mark.parametrize(("n_rows", "allowed", "threads"), [(1999, 2, 1), (2000, 2, 2), (9000, 2, 2), (9000, 1, 1)])
def test_threads_are_few_where_rows_are_few_and_never_more_than_allowed(monkeypatch, n_rows, allowed, threads):
    if not any(one["user_api"] == "blas" for one in threadpool_info()):
        pytest.skip("the linear algebra here has no number of threads")
    monkeypatch.setattr(eigen, "idle_cores", lambda: 4)
    with threadpool_limits(allowed, user_api="blas"), eigen.idle_threads(n_rows):
        assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} == {threads}
