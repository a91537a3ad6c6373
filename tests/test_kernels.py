"""The kernels of group_stats and gather_dense against their NumPy twins, on the CPU through a shim and on a device.

What only a GPU can show, speed and the memory model, is for `benchmarks.gpu` and compute-sanitizer.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emu import emulator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from smash_gpu.compute import cuda, ops
from smash_gpu.compute.xp import cupy, to_host
from smash_gpu.data import stats
from smash_gpu.data.standardize import mean_std, standardize

KERNELS = sorted(path.stem for path in cuda.SOURCES.glob("*.cu"))
ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")
TARGET = 1e4
H100_SHARED_BYTES = 227 * 1024


class Machine:
    """Where kernels run: NumPy arrays and the shim, or CuPy arrays and a device."""

    def __init__(self, xp):
        self.xp = xp

    def block(self, X, index=np.int32, **parts):
        """A CSR matrix as its kernels see it, with indices of the type asked for."""
        parts = {"data": X.data, "indices": X.indices.astype(index), "indptr": X.indptr.astype(index)} | parts
        return SimpleNamespace(shape=X.shape, **{name: self.xp.asarray(part) for name, part in parts.items()})

    def group_stats(self, X, group, n_groups, target_sum, **options):
        found = cuda.group_stats(self.block(X, **options), self.xp.asarray(group), n_groups, target_sum)
        return stats.GroupStats(*map(to_host, found))

    def gather_dense(self, X, genes, target_sum, *, index=np.int32, **vectors):
        return to_host(cuda.gather_dense(self.block(X, index), genes, target_sum, **vectors))


@pytest.fixture(params=["shim", pytest.param("device", marks=pytest.mark.gpu)])
def machine(request, monkeypatch):
    """The shim with an H100's shared memory, or the device with its own.

    On the device without a pool: compute-sanitizer sees only the borders of what the driver gave.
    """
    if request.param == "shim":
        yield shim(monkeypatch)
        return
    before = cupy.cuda.get_allocator()
    cupy.cuda.set_allocator(None)
    yield Machine(cupy)
    cupy.cuda.set_allocator(before)


def shim(monkeypatch, **libraries):
    found = Machine(np)
    found.emulator = emulator.Emulator(**libraries)
    monkeypatch.setattr(cuda, "launch", found.emulator.launch)
    monkeypatch.setattr(cuda, "shared_memory", lambda: H100_SHARED_BYTES)
    return found


def divide(patch):
    """Three warps a thread block, tiles of 16 genes and of 40 columns, runs of 7 cells: every border is met."""
    patch.setattr(cuda, "GROUP_STATS_THREADS", 96)
    patch.setattr(cuda, "shared_memory", lambda: 3 * cuda.BYTES_PER_WARP + 16 * cuda.BYTES_PER_GENE)
    patch.setattr(cuda, "CELLS_PER_RUN", (7, 7))
    patch.setattr(cuda, "GATHER_BYTES", 40 * 4)


def counts_of(rng, n_cells, n_genes, *, rate=0.4, dtype=np.float32):
    """Counts with empty cells, counts above 32, one cell that expresses every gene, and stored zeros."""
    counts = rng.poisson(rate, (n_cells, n_genes)) * rng.choice([1, 1, 1, 50], (n_cells, n_genes))
    counts[::5] = 0
    if n_cells > 1:
        counts[1] = rng.integers(1, 40, n_genes)
    X = sparse.csr_matrix(counts.astype(dtype))
    X.data[::7] = 0
    return X


def sums_agree(found, X, group, n_groups, target_sum):
    """Integers equal, sums within the rounding of fixed point and of the additions of float64."""
    expected = stats.GroupStats(*ops.group_stats(X, group, n_groups, target_sum))
    _, of_e, of_square = cuda.fixed_point_scales(X.shape[0], target_sum)
    for name in ("cells", "detected"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert getattr(found, name).dtype.kind == "i"
    if np.all(X.data == np.floor(X.data)):
        np.testing.assert_array_equal(found.counts, expected.counts)
    else:
        np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-14, atol=0.5 / of_e)
    for name, scale in (("total", of_e), ("square", of_square)):
        values, bound = getattr(expected, name), 0.5 / scale * expected.detected
        assert np.all(np.abs(getattr(found, name) - values) <= bound + 1e-14 * np.abs(values)), name


# --- compiled for every architecture ----------------------------------------------------------------------------------


def compile_for(source, architecture, names):
    from cuda.core import Program, ProgramOptions  # in the extra "kernels"

    options = ProgramOptions(arch=architecture, std="c++17")
    return Program(source, "c++", options).compile("cubin", name_expressions=names)


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


# --- group_stats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target_sum", [TARGET, None], ids=["counts", "logarithms"])
@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, 1), (33, 1), (31, 32), (32, 33), (65, 31), (6, 1100)])
def test_group_stats_equal_their_twin(machine, rng, n_cells, n_genes, target_sum):
    X = counts_of(rng, n_cells, n_genes)
    X = X if target_sum else X.log1p()
    group = rng.integers(-1, 4, n_cells)
    group[group == 2] = 3  # an empty group
    sums_agree(machine.group_stats(X, group, 4, target_sum), X, group, 4, target_sum)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_group_stats_twin_in_tiles_and_runs(machine, monkeypatch, rng, dtype, index):
    """Groups of several runs, of one and of none; genes of several tiles, in cells of one to 200 values."""
    divide(monkeypatch)
    X = counts_of(rng, 36, 200, dtype=dtype)
    group = np.repeat([0, 2, -1, 0, 1], [15, 3, 2, 9, 7])
    sums_agree(machine.group_stats(X, group, 4, TARGET, index=index), X, group, 4, TARGET)


@pytest.mark.parametrize(
    ("X", "group", "n_groups"),
    [
        (sparse.csr_matrix((0, 5), dtype=np.float32), [], 2),
        (sparse.csr_matrix((3, 0), dtype=np.float32), [0, 1, 0], 2),
        (sparse.csr_matrix((40, 5), dtype=np.float32), [0] * 40, 1),
        (sparse.csr_matrix(np.ones((3, 4), dtype=np.float32)), [-1, -1, -1], 2),
        (sparse.csr_matrix(np.ones((1, 3), dtype=np.float32)), [0], 1),
    ],
    ids=["no cells", "no genes", "no values", "all left out", "one cell"],
)
def test_group_stats_twin_where_there_is_nothing(machine, X, group, n_groups):
    group = np.array(group, dtype=int)
    sums_agree(machine.group_stats(X, group, n_groups, TARGET), X, group, n_groups, TARGET)


def test_group_stats_twin_with_more_groups_than_cells(machine, rng):
    X, group = counts_of(rng, 30, 12), rng.integers(0, 500, 30)
    sums_agree(machine.group_stats(X, group, 500, TARGET), X, group, 500, TARGET)


def test_fractional_counts_have_sums(machine, rng):
    X = counts_of(rng, 24, 20, dtype=np.float64)
    X.data += rng.random(X.nnz)
    group = rng.integers(0, 2, 24)
    sums_agree(machine.group_stats(X, group, 2, TARGET), X, group, 2, TARGET)


def test_the_largest_counts_neither_overflow_nor_round(machine):
    """Every value as large as it may be: all of a cell's counts in one gene, up to 2³¹ − 1."""
    X = sparse.csr_matrix(np.full((70, 1), 2.0**31 - 1))
    found = machine.group_stats(X, np.zeros(70, dtype=int), 1, TARGET)
    assert found.counts[0, 0] == 70 * (2**31 - 1)
    sums_agree(found, X, np.zeros(70, dtype=int), 1, TARGET)


def test_values_may_lie_beyond_two_to_the_31(machine, tmp_path):
    """One cell at the end of arrays of 2³¹ + 8 values; on the CPU they are files of holes."""
    n = 2**31 + 8
    data, indices = (
        np.memmap(tmp_path / t, dtype=t, mode="w+", shape=n) if machine.xp is np else machine.xp.zeros(n, dtype=t)
        for t in ("float32", "int64")
    )
    data[-3:], indices[-3:] = machine.xp.array([1, 2, 3]), machine.xp.array([0, 2, 4])
    indptr = machine.xp.array([n - 3, n])
    block = SimpleNamespace(shape=(1, 5), data=data, indices=indices, indptr=indptr)
    _, _, counts, total, _ = map(to_host, cuda.group_stats(block, machine.xp.zeros(1, dtype=int), 1, 6.0))
    assert counts.tolist() == [[1, 0, 2, 0, 3]]
    np.testing.assert_allclose(total, np.log1p([[1, 0, 2, 0, 3]]))
    dense = to_host(cuda.gather_dense(block, np.array([4, 2]), None))
    assert dense.tolist() == [[3, 2]]


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 2.0**31])
def test_values_out_of_range_make_sums_nan(machine, value):
    X = sparse.csr_matrix(np.array([[1.0, value], [2.0, 3.0]], dtype=np.float32))
    found = machine.group_stats(X, np.array([0, 1]), 2, TARGET)
    assert np.isnan(found.counts).all() and np.isnan(found.total).all() and np.isnan(found.square).all()


def test_logarithms_may_be_negative_but_not_large(machine):
    X = sparse.csr_matrix(np.array([[-1.5, 127.0]], dtype=np.float32))
    found = machine.group_stats(X, np.array([0]), 1, None)
    assert found.total.tolist() == [[-1.5, 127.0]]
    assert found.detected.tolist() == [[0, 1]]
    X.data[1] = 128
    assert np.isnan(machine.group_stats(X, np.array([0]), 1, None).total).all()


@given(st.integers(1, 2**31), st.floats(1e-3, 1e9))
def test_fixed_point_cannot_overflow_and_wastes_at_most_one_bit(n_cells, target_sum):
    largest_e = np.log1p(target_sum)
    bounds = (1.0, largest_e, largest_e**2)
    for scale, bound in zip(cuda.fixed_point_scales(n_cells, target_sum), bounds, strict=True):
        assert 2**60.99 < scale * bound * n_cells < 2**62.01
        assert scale * bound < 2**62.01, "a value by itself"


def test_a_million_cells_are_rounded_by_less_than_a_billionth():
    _, of_e, of_square = cuda.fixed_point_scales(10**6, TARGET)
    assert 0.5 / of_e < 2e-12
    assert 0.5 / of_square < 2e-11


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**20), n_cells=st.integers(0, 12), n_genes=st.integers(1, 70), n_groups=st.integers(1, 5),
       rate=st.sampled_from([0.02, 0.5, 3.0]), tiles=st.booleans())  # fmt: skip
def test_group_stats_twin_on_any_block(machine, monkeypatch, seed, n_cells, n_genes, n_groups, rate, tiles):
    rng = np.random.default_rng(seed)
    X = counts_of(rng, n_cells, n_genes, rate=rate)
    group = rng.integers(-1, n_groups, n_cells)
    with monkeypatch.context() as patch:
        if tiles:
            divide(patch)
        sums_agree(machine.group_stats(X, group, n_groups, TARGET), X, group, n_groups, TARGET)


# --- gather_dense -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target_sum", [TARGET, None], ids=["counts", "logarithms"])
@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, 1), (7, 31), (7, 33), (3, 257), (4, 1100)])
def test_gather_dense_equals_its_twin(machine, rng, n_cells, n_genes, target_sum):
    X = counts_of(rng, n_cells, n_genes)
    X = X if target_sum else X.log1p()
    genes = rng.permutation(n_genes)[: max(n_genes * 2 // 3, 1)]
    found = machine.gather_dense(X, genes, target_sum)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ops.gather_dense(X, genes, target_sum), rtol=2e-7)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gather_dense_twin_in_tiles(machine, monkeypatch, rng, dtype, index):
    divide(monkeypatch)
    X, genes = counts_of(rng, 9, 150, dtype=dtype), rng.permutation(150)[:101]
    found = machine.gather_dense(X, genes, TARGET, index=index)
    np.testing.assert_allclose(found, ops.gather_dense(X, genes, TARGET), rtol=2e-7)


@pytest.mark.parametrize(("n_cells", "n_genes", "chosen"), [(0, 4, 2), (3, 4, 0), (33, 4, 4)])
def test_gather_dense_twin_where_there_is_nothing(machine, n_cells, n_genes, chosen):
    X, genes = sparse.csr_matrix((n_cells, n_genes), dtype=np.float32), np.arange(chosen)
    np.testing.assert_array_equal(machine.gather_dense(X, genes, TARGET), np.zeros((n_cells, chosen)))


def test_gather_dense_standardises_zeros_too_and_cuts(machine, rng):
    X, genes = counts_of(rng, 40, 30), rng.permutation(30)[:17]
    e = ops.gather_dense(X, genes, TARGET)
    mean, std = mean_std(e)
    std[3] = 0  # a gene that does not vary
    scale = 1 / np.where(std > 0, std, np.inf)
    ceiling = np.full(17, 1.25)
    z = machine.gather_dense(X, genes, TARGET, mean=mean, scale=scale, ceiling=ceiling)
    np.testing.assert_allclose(z, np.minimum(standardize(e, mean, std), 1.25), rtol=1e-5, atol=1e-6)
    cut = machine.gather_dense(X, genes, TARGET, ceiling=ceiling)
    np.testing.assert_allclose(cut, ops.gather_dense(X, genes, TARGET, ceiling=ceiling), rtol=2e-7)


# --- any order, bit for bit -------------------------------------------------------------------------------------------


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


# --- these checks can fail --------------------------------------------------------------------------------------------


MUTANTS = [
    ("group_stats", "distance > 0", "distance > 1", "library size of half a warp"),
    ("group_stats", "start += LOADS_AHEAD * threads", "start += (LOADS_AHEAD + 1) * threads", "values passed over"),
    ("group_stats", "const unsigned carry = before + addend < addend", "const unsigned carry = 0", "no carry"),
    ("group_stats", "__syncthreads();\n    tile.add_to", "tile.add_to", "no barrier before the sums are read"),
    ("group_stats", "not_after - 1", "not_after", "a tile that begins one place late"),
    ("group_stats", "first + cells_per_run, ", "first + cells_per_run + 1, ", "a cell in two runs"),
    ("group_stats", "(lane + 1) * per_count", "lane * per_count", "a count taken for the one before"),
    ("gather_dense", "row[c] = 0;", ";", "shared memory as it was"),
    ("gather_dense", "finish(row[c], first_column + c)", "finish(row[c], c)", "another tile's ceiling"),
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


@pytest.mark.parametrize(("kernel", "right", "wrong"), [m[:3] for m in MUTANTS], ids=[m[3] for m in MUTANTS])
def test_a_wrong_kernel_is_found(broken, monkeypatch, rng, kernel, right, wrong):
    machine = shim(monkeypatch, **{kernel: broken(kernel, right, wrong)})
    divide(monkeypatch)
    X, group, genes = counts_of(rng, 30, 200, rate=2.0), np.repeat([0, 1], [20, 10]), np.arange(100)
    ceiling = np.linspace(1, 4, 100)
    with pytest.raises(AssertionError):
        if kernel == "group_stats":
            sums_agree(machine.group_stats(X, group, 2, TARGET), X, group, 2, TARGET)
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
    tests = Path(__file__).parent
    path = [str(tests), str(tests.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    if asan:
        where = subprocess.run([emulator.compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True)
        environment |= {"LD_PRELOAD": where.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0", emulator.SANITIZE: "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


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
    chosen = ("-k", "twin and shim", "-q", "-p", "no:cacheprovider", "--no-header", __file__)
    ended = run_python("-m", "pytest", *chosen, asan=True, timeout=300)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert re.search(r"\d\d passed", ended.stdout), ended.stdout[-3000:]
