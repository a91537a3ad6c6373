"""cells_by_group against its NumPy twin, on the CPU through a shim and on a device."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from smash_gpu.compute import cuda, ops
from smash_gpu.compute.xp import to_host


@pytest.mark.parametrize("room", [True, False], ids=["in shared memory", "no room"])
@pytest.mark.parametrize(
    ("n_cells", "n_groups"), [(0, 3), (1, 1), (5, 0), (33, 2), (1023, 7), (1025, 7), (3000, 300), (40, 5000)]
)
def test_cells_by_group_equal_their_twin(machine, monkeypatch, rng, n_cells, n_groups, room):
    if not room:
        monkeypatch.setattr(cuda, "shared_memory", lambda: 4 * n_groups - 1)
    X, group = sparse.csr_matrix((n_cells, 4), dtype=np.float32), rng.integers(-1, n_groups, n_cells)
    order, start = map(to_host, cuda.cells_by_group(machine.block(X), machine.xp.asarray(group), n_groups))
    expected, starts = ops.cells_by_group(X, group, n_groups)
    np.testing.assert_array_equal(start, starts)
    for first, last in zip(start[:-1], start[1:], strict=True):
        np.testing.assert_array_equal(np.sort(order[first:last]), expected[first:last])
    assert start.dtype == np.int64
