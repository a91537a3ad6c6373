"""Kernels are repeatable, wrong ones are found, and none leaves its arrays."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cases.kernels import TARGET, checks_agree, counts_of, divide, shim, sums_agree
from cells import REPOSITORY, TESTS
from emu import emulator

from smash_gpu.compute import cuda, ops


@pytest.mark.slow
@pytest.mark.parametrize("target_sum", [TARGET, None], ids=["counts", "logarithms"])
def test_two_runs_are_equal_bit_for_bit(machine, monkeypatch, rng, target_sum):
    """The shim draws another order of blocks and threads each time; a device has its own."""
    divide(monkeypatch)
    X = counts_of(rng, 60, 60, dtype=np.float64)
    X.data += rng.random(X.nnz)
    X = X if target_sum else X.log1p()
    group, genes = rng.integers(0, 2, 60), np.arange(0, 60, 2)
    runs = []
    for seed in range(3):
        if machine.xp is np:
            machine.emulator.seed = seed
        sums = machine.group_stats(X, group, 2, target_sum)
        runs.append(b"".join(part.tobytes() for part in vars(sums).values()))
        runs[-1] += machine.gather_dense(X[:20], genes, target_sum).tobytes()
    assert runs[0] == runs[1] == runs[2]


MUTANTS = [
    ("group_stats", "first + j * apart;", "first + j * (apart + 1);", "values passed over"),
    ("group_stats", "before_total + of_total < before_total", "false", "no carry"),
    ("group_stats", "before_square + of_square < before_square", "false", "no carry of squares"),
    ("group_stats", "tile.clear();", "", "shared memory as it was"),
    ("group_stats", "    census[i] = total[i] = square[i] = carries[i] = 0;\n", "", "sums of the group before"),
    ("group_stats", "__syncthreads();\n        tile.move_to", "tile.move_to", "no barrier before the sums are read"),
    ("group_stats", "length, first_gene, ", "length, first_gene + 1, ", "a tile that begins one gene late"),
    ("group_stats", "begin_of_run + cells_per_run, ", "begin_of_run + cells_per_run + 1, ", "a cell in two runs"),
    ("group_stats", "high = place;", "high = place - (place > 0);", "a search that passes over a gene"),
    ("group_stats", "(lane + 1) * factor_k", "lane * factor_k", "a count taken for the one before"),
    ("group_stats", "whole < LARGE_COUNT ? whole : 0", "0", "counts above 32 left out"),
    ("cells_by_group", "1)] = cell;", "1)] = cell / 2;", "a cell in the place of another"),
    ("gather_dense", "row.clear(cleared, last", "row.clear(0, last", "zeros written over values"),
    ("gather_dense", "(~gene & 31)", "(gene & 31)", "a gene in the column of the next"),
    ("gather_dense", "min(e, ceiling[c])", "e", "no ceiling"),
    ("gather_dense", "upto[N - 1], WARP - 1", "upto[N - 1] - 1, WARP - 1", "a value cleared with the next ones"),
    ("gather_dense", ": n_columns;", ": of_warp;", "the end of a row not cleared"),
    ("gather_dense", "next + lane", "next + lane + 1", "a value passed over"),
    ("gather_dense", "SMALL_COUNTS : lane", "0 : lane", "a count of 32 taken for 0"),
    ("value_checks", "distance > 0", "distance > 1", "sums of half a warp"),
    ("value_checks", "start + j * WARP;", "start + j * (WARP + 1);", "values not summed"),
    ("value_checks", "value != floor(value)", "value < 0", "fractions not seen"),
]  # fmt: skip


@pytest.fixture
def broken(tmp_path):
    """A kernel with one thing changed, built for float and int."""

    def build(kernel, right, wrong):
        texts = {name: (cuda.SOURCES / name).read_text() for name in ("cell.cuh", f"{kernel}.cu")}
        assert sum(text.count(right) for text in texts.values()) >= 1
        for name, text in texts.items():
            (tmp_path / name).write_text(text.replace(right, wrong))
        return emulator.build(tmp_path / f"{kernel}.cu", tmp_path, emulator.INSTANCES[:1])

    return build


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "right", "wrong"), [m[:3] for m in MUTANTS], ids=[m[3] for m in MUTANTS])
def test_a_wrong_kernel_is_found(broken, monkeypatch, rng, kernel, right, wrong):
    machine = shim(monkeypatch, **{kernel: broken(kernel, right, wrong)})
    X, group, genes = counts_of(rng, 30, 200, rate=2.0), np.repeat([0, 1], [20, 10]), rng.permutation(200)[:100]
    ceiling = np.linspace(1, 4, 100)
    with pytest.raises(AssertionError):
        if kernel in ("group_stats", "cells_by_group"):
            sums_agree(machine.group_stats(X, group, 2, TARGET), X, group, 2, TARGET)
            divide(monkeypatch)
            sums_agree(machine.group_stats(X, group, 2, TARGET), X, group, 2, TARGET)
        elif kernel == "value_checks":
            checks_agree(machine.value_checks(X.log1p()), X.log1p())
        else:
            expected = ops.gather_dense(X, genes, TARGET, ceiling=ceiling)
            np.testing.assert_allclose(machine.gather_dense(X, genes, TARGET, ceiling=ceiling), expected, rtol=2e-7)


FAULTY = """
template <typename T, typename I> __global__ void faulty(T* x, int fault) {
    extern __shared__ __align__(16) unsigned char shared_memory[];
    if (fault == 1) x[threadIdx.x + 1] = 1;
    if (fault == 2) shared_memory[threadIdx.x + 1] = 1;
    if (fault == 3 && threadIdx.x < 40) __syncthreads();
    if (fault == 3 && threadIdx.x >= 40) __syncwarp();
    if (fault == 4 && threadIdx.x != 5) x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);
}
"""
RUN_FAULTY = """
import sys, numpy as np
from pathlib import Path
from emu import emulator
library = emulator.build(Path(sys.argv[1]), Path(sys.argv[1]).parent, emulator.INSTANCES[:1])
arguments = (np.zeros(64, dtype=np.float32), np.int32(sys.argv[2]))
emulator.launch(library, "faulty_0", (1, 64, 64), arguments)
"""


def run_python(*arguments, asan, timeout):
    """A Python process that finds the tests, and with ``asan`` one whose memory is watched."""
    path = [str(TESTS), str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    compiler = emulator.compiler()
    if asan:
        where = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True)
        environment |= {"LD_PRELOAD": where.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0", emulator.SANITIZE: "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "asan", "complaint"),
    [
        (0, True, ""),
        (1, True, "heap-buffer-overflow"),
        (2, True, "use-after-poison"),
        (3, False, "threads wait for each other at different barriers"),
        (4, False, "a lane is missing"),
    ],
    ids=["none", "array too short", "shared memory too short", "barriers that differ", "a lane that has left"],
)
def test_a_faulty_kernel_stops(tmp_path, fault, asan, complaint):
    (tmp_path / "faulty.cu").write_text(FAULTY)
    ended = run_python("-c", RUN_FAULTY, str(tmp_path / "faulty.cu"), str(fault), asan=asan, timeout=60)
    assert (ended.returncode != 0) == bool(fault), ended.stderr
    assert complaint in ended.stderr


@pytest.mark.slow
def test_kernels_stay_inside_their_arrays():
    """The comparisons with the twins once more, with AddressSanitizer."""
    chosen = ("-k", "twin and shim", "-q", "-p", "no:cacheprovider", "--no-header", str(TESTS / "kernels"))
    ended = run_python("-m", "pytest", *chosen, asan=True, timeout=300)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert re.search(r"\d\d passed", ended.stdout), ended.stdout[-3000:]
