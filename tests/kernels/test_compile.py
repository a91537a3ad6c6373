"""Every kernel compiles for every architecture, without a GPU."""

from __future__ import annotations

import re
import sys

import pytest
from emu import emulator

from smash_gpu.compute import cuda

KERNELS = sorted(path.stem for path in cuda.SOURCES.glob("*.cu"))
ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")


def compile_for(source, architecture, names):
    if sys.platform == "darwin":
        pytest.skip("NVIDIA has no compiler for macOS")
    from cuda.core import Program, ProgramOptions  # in the extra "kernels"

    options = ProgramOptions(arch=architecture, std="c++17")
    return Program(source, "c++", options).compile("cubin", name_expressions=names)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_instance_compiles(kernel, architecture):
    names = tuple(f"{kernel}<{', '.join(types)}>" for types in emulator.INSTANCES)
    binary = compile_for(cuda.source(kernel), architecture, names)
    assert set(binary.symbol_mapping) == set(names)


def test_a_kernel_that_is_not_cuda_is_found():
    source = "template <typename T> __global__ void broken(T* x) { x[threadIdx.x] = threadIdx.w; }"
    with pytest.raises(Exception, match='no member "w"'):
        compile_for(source, "sm_90", ("broken<float>",))


def constant(kernel, name):
    value = re.search(rf"constexpr \w+ {name} = ([\w.]+);", cuda.source(kernel))[1]
    return float(value) if value[0].isdigit() else constant(kernel, value)


def test_launchers_and_kernels_agree_on_their_constants():
    assert constant("group_stats", "THREADS_AT_MOST") >= cuda.GROUP_STATS_THREADS
    assert constant("gather_dense", "THREADS_AT_MOST") >= cuda.GATHER_THREADS
    assert 8 * constant("group_stats", "SMALL_COUNTS") == cuda.BYTES_PER_WARP


def test_sums_of_a_thread_block_fit_their_words():
    most = constant("group_stats", "CELLS_AT_ONCE")
    bit = constant("group_stats", "DETECTION_BIT")
    assert most < 2 ** (32 - bit), "detections"
    assert most * (constant("group_stats", "LARGE_COUNT") - 1) < 2**bit, "integer parts of counts"
    assert 2 * most < 2**15, "carries of a sum, and signs"
    assert constant("group_stats", "LARGE_COUNT") > constant("group_stats", "SMALL_COUNTS")
