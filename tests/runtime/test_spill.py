"""Temporary files of large matrices."""

from __future__ import annotations

import errno
import os
import shutil
import warnings

import numpy as np
import pytest
from cases.parts import FEW, open_files
from hypothesis import given
from hypothesis import strategies as st

from smash_gpu.runtime import spill
from smash_gpu.runtime.spill import Scratch

# a matrix in a file


@FEW
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_a_matrix_in_a_file_is_read_and_written_as_one_in_memory(n_cells, n_genes, seed, bytes_at_once):
    rng = np.random.default_rng(seed)
    expected = np.zeros((n_cells, n_genes), dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setattr(spill, "BYTES_AT_ONCE", bytes_at_once)
        with Scratch((n_cells, n_genes)) as found:
            for rows in (rng.permutation(n_cells)[: n_cells // 2 + 1], slice(n_cells // 3, n_cells // 2), slice(None)):
                values = rng.normal(size=expected[rows].shape).astype(np.float32)
                expected[rows] = values
                found[rows] = values
            assert (found.shape, len(found), found.nbytes) == (expected.shape, n_cells, expected.nbytes)
            rows = rng.integers(0, n_cells, 30)
            np.testing.assert_array_equal(found[rows], expected[rows])
            np.testing.assert_array_equal(found[n_cells // 4 : n_cells + 7], expected[n_cells // 4 :])
            found[2:5] += 1
            np.testing.assert_array_equal(found[2:5], expected[2:5] + 1)


def test_a_matrix_in_a_file_has_no_name_and_is_gone_when_it_is_closed(own_folder):
    open_before = open_files()
    with Scratch((1000, 100)) as X:
        X[:10] = 1
        assert list(own_folder.iterdir()) == []
    assert open_files() == open_before


def test_too_little_disk_is_said_before_anything_is_written(own_folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 3 * 10**8))
    with pytest.raises(
        OSError, match=r"1,000,000 cells × 100 genes \(needs 0\.40 GB, 0\.30 GB free.*max_cells=.*TMPDIR"
    ) as e:
        Scratch((10**6, 100))
    assert str(own_folder) in str(e.value)


def test_a_disk_that_fills_up_in_between_is_said(own_folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"disk of .* is full \(needs 0\.40 GB\).*max_cells="):
        Scratch((10**6, 100))


def test_a_file_system_that_cannot_reserve_is_used_all_the_same(own_folder, monkeypatch):
    def unknown(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unknown)
    with Scratch((10, 3)) as X:
        X[4:6] = 7
        assert X[:].sum() == 42


def test_large_files_go_where_the_user_says_else_to_the_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert spill.folder() == tmp_path
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(spill, "LARGE_FILES", tmp_path / "not there")
    monkeypatch.setattr("tempfile.tempdir", None)
    assert spill.folder().is_dir()
