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


def test_launchers_and_kernels_agree_on_their_constants():
    def constant(kernel, name):
        value = re.search(rf"constexpr \w+ {name} = ([\w.]+);", cuda.source(kernel))[1]
        return float(value) if value[0].isdigit() else constant(kernel, value)

    assert constant("group_stats", "LARGEST_E") == cuda.LARGEST_E
    assert constant("group_stats", "THREADS_AT_MOST") >= cuda.GROUP_STATS_THREADS
    assert constant("gather_dense", "THREADS_AT_MOST") >= cuda.GATHER_THREADS
    largest_whole = cuda.CELLS_PER_RUN[1] * constant("group_stats", "LARGEST_VALUE")
    assert largest_whole < 2 ** constant("group_stats", "DETECTION_BIT")
    assert cuda.CELLS_PER_RUN[1] < 2 ** (64 - constant("group_stats", "DETECTION_BIT"))
    assert 8 * constant("group_stats", "SMALL_COUNTS") == cuda.BYTES_PER_WARP
