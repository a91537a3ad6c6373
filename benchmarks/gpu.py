"""Kernels and the whole pipeline on a CUDA device, on synthetic counts made there.

Each line of a kernel gives the bytes that it must move, counted from the problem (values and indices of the non-zeros
once, results once), the time by CUDA events after warm-up, and the share of the copy bandwidth measured on the device
at the start; the goal is 70 % or more. Cells × 20,000 genes, about 1,500 of them detected per cell, 30 classes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

from benchmarks import record

GENES, DETECTED, CLASSES, SAMPLES = 20_000, 1_500, 30, 20
CANDIDATES, FEW_CANDIDATES = 5_000, 1_334
MARKERS_PER_CLASS, MARKER_RATE, BACKGROUND_RATE = 5, 0.8, 0.02
CELLS_OF_FIRST_USE = 2_000
CELLS_PER_CHUNK = 4_096  # made at a time
CELLS_PER_BLOCK = 1_000_000  # 1.5e9 values, below 2³¹
SHARE_FOR_DATA = 0.5  # of the free memory; the rest is for results
TARGET = 1e4
PACKAGES = ("cupy", "cuml", "cudf", "rmm", "rapids", "xgboost", "torch", "nvidia-cuda-nvrtc")


@dataclass(frozen=True)
class Problem:
    """The sizes from which the number of bytes is computed."""

    cells: int
    genes: int
    nonzeros: int
    value_bytes: int = 4
    index_bytes: int = 4

    @property
    def matrix_bytes(self) -> int:
        """Bytes of the values and indices of the non-zeros and of the cell offsets, each read once."""
        return self.nonzeros * (self.value_bytes + self.index_bytes) + (self.cells + 1) * self.index_bytes

    def group_stats_bytes(self, n_groups: int) -> int:
        """The matrix, one label per cell, and four tables of 8-byte values."""
        return self.matrix_bytes + self.cells * 8 + 4 * 8 * n_groups * self.genes

    def gather_dense_bytes(self, n_columns: int) -> int:
        """The matrix and the dense float32 result."""
        return self.matrix_bytes + self.cells * n_columns * 4


def main(arguments: list[str]) -> None:
    """Measure, print and append one line per stage and size."""
    options = parse(arguments)
    from smash_gpu.compute.device import resolve_device
    from smash_gpu.compute.xp import cupy

    resolve_device("cuda")
    copy = copy_bandwidth(cupy)
    context = {"benchmark": "gpu", "gpu": device(cupy), "copy_gb_per_s": copy}
    report(first_use(cupy, options), context, options)
    for cells in options.cells:
        report(stages(cupy, cells or cells_that_fit(cupy), options, copy), context, options)
    report(streams(cupy, options), context, options)


def first_use(cupy, options: argparse.Namespace) -> Iterator[dict]:
    """Seconds of the first selection in this process: imports, and kernels that the machine has not compiled before."""
    for model in options.models if options.cells else ():
        blocks, group, sample = matrix(cupy, CELLS_OF_FIRST_USE, options.seed)
        row = pipeline(blocks, group, sample, model)
        yield {"cells": CELLS_OF_FIRST_USE} | row | {"what": f"first use in a process: {row['what']}"}


def report(rows: Iterator[dict], context: dict, options: argparse.Namespace) -> None:
    """Print and append each line immediately, because a later stage may end the process."""
    for stage in rows:
        row = context | {"seed": options.seed} | stage
        record.write(options.json, [row])
        print(row, flush=True)


def streams(xp, options: argparse.Namespace, device: str = "cuda") -> Iterator[dict]:
    """Lines of selections from host memory and from files, also for one that fails."""
    from benchmarks import gpu_streams

    how = {"model": options.stream_model, "max_cells": options.max_cells, "memory": options.memory}
    how |= {"distinct": options.distinct, "seed": options.seed, "device": device}
    parts = [("host memory", n, partial(gpu_streams.from_host, xp, n)) for n in options.host]
    for kind in ("h5ad", "zarr"):
        from_file = partial(gpu_streams.from_file, xp, kind=kind, folder=options.folder)
        parts += [(f"{kind} file", n, partial(from_file, n)) for n in getattr(options, kind)]
    for what, n_cells, run in parts:
        try:
            yield from ({"cells": n_cells} | row for row in run(**how))
        except Exception as error:  # noqa: BLE001 - the others still run
            yield {"cells": n_cells, "what": f"{what} to markers", "failed": f"{type(error).__name__}: {error}"[:500]}


def stages(cupy, cells: int, options: argparse.Namespace, copy: float) -> Iterator[dict]:
    """One line per stage, also for a stage that fails. The counts are freed at the end."""
    blocks, group, sample = matrix(cupy, cells, options.seed)
    cells = {"cells": len(group)}
    parts = [("kernels", lambda: kernels(cupy, blocks[0], group, sample, copy))]
    parts += [("aggregate", lambda: aggregate(cupy, blocks[0], group))]
    parts += [(f"tl.smash, model {m}", lambda m=m: [pipeline(blocks, group, sample, m)]) for m in options.models]
    for what, run in parts:
        try:
            for row in run():
                yield cells | row
        except Exception as error:  # noqa: BLE001 - the other stages still run
            yield cells | {"what": what, "failed": f"{type(error).__name__}: {error}"[:500]}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command's options; 0 cells means as many as fit."""
    options = record.parser("gpu")
    add = options.add_argument
    add("--cells", type=int, nargs="*", default=[10**5, 10**6, 0], help="0: as many as fit in memory")
    add("--models", nargs="*", default=["xgboost", "dnn"], help="of the whole pipeline")
    for where in ("host", "h5ad", "zarr"):
        add(f"--{where}", type=int, nargs="*", default=[], metavar="CELLS", help=f"from {where} to markers")
    add("--distinct", type=int, default=10**6, help="cells that are made; more are the same cells again")
    add("--stream-model", default="rf", help="model of --host, --h5ad and --zarr")
    add("--max-cells", type=int, default=10**5, help="training cells of --host, --h5ad and --zarr")
    add("--memory", help="limit of --host, --h5ad and --zarr")
    add("--folder", type=Path, help="for the files of --h5ad and --zarr; default: the system's temporary folder")
    add("--seed", type=int, default=0)
    return options.parse_args(arguments)


def device(cupy) -> dict:
    """Name, memory, driver, its CUDA, and the versions of the packages that run on the device."""
    from smash_gpu.compute.device import driver_release

    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    names = {d.name: d.version for d in distributions() if d.name and d.name.startswith(PACKAGES)}
    release = cupy.cuda.runtime.driverGetVersion()
    return {
        "name": properties["name"].decode(),
        "memory_gb": round(properties["totalGlobalMem"] / 1e9, 2),
        "driver": driver_release(),
        "cuda": f"{release // 1000}.{release % 1000 // 10}",
        "packages": names,
    }


def events(run: Callable[[], object], repeats: int = 10) -> dict:
    """Seconds of a run by CUDA events, after two warm-up runs."""
    from cupyx.profiler import benchmark

    seconds = benchmark(lambda: run(), n_warmup=2, n_repeat=repeats).gpu_times[0]  # it asks for a name
    return {"median_s": float(np.median(seconds)), "min_s": float(seconds.min()), "max_s": float(seconds.max())}


def copy_bandwidth(cupy, n_bytes: int = 4 * 2**30) -> float:
    """GB/s of a copy in device memory; bytes read and written are both counted."""
    source, target = cupy.zeros(n_bytes // 4, dtype=cupy.float32), cupy.empty(n_bytes // 4, dtype=cupy.float32)
    return 2 * n_bytes / events(lambda: cupy.copyto(target, source))["min_s"] / 1e9


def cells_that_fit(cupy) -> int:
    """Number of cells whose matrix fills `SHARE_FOR_DATA` of the free device memory."""
    cupy.get_default_memory_pool().free_all_blocks()
    return int(SHARE_FOR_DATA * cupy.cuda.runtime.memGetInfo()[0] / (DETECTED * 8))


def rates(rng: np.random.Generator, n_genes: int, n_classes: int, detected: float) -> np.ndarray:
    """Probability that a gene is detected in a cell, classes × genes: skewed over genes, with markers per class."""
    rate = rng.gamma(0.3, size=n_genes)
    rate = np.minimum(rate * detected / rate.sum(), 0.95)  # rescale again, because clipping removed some
    rate = np.tile(np.minimum(rate * detected / rate.sum(), 0.95), (n_classes, 1))
    markers = rng.permutation(n_genes)[: n_classes * MARKERS_PER_CLASS].reshape(n_classes, -1)
    rate[:, markers.ravel()] = BACKGROUND_RATE
    np.put_along_axis(rate, markers, MARKER_RATE, axis=1)
    return rate.astype(np.float32)


def counts(xp, rate: np.ndarray, group: np.ndarray, seed: int) -> tuple:
    """CSR parts of counts drawn gene by gene and cell by cell: data float32, indices and indptr int32."""
    rng, rate = xp.random.default_rng(seed), xp.asarray(rate)
    data, indices, lengths = [], [], []
    for start in range(0, len(group), CELLS_PER_CHUNK):
        of_cell = rate[xp.asarray(group[start : start + CELLS_PER_CHUNK])]
        present = rng.random(of_cell.shape, dtype=xp.float32) < of_cell
        indices.append(xp.nonzero(present)[1].astype(xp.int32))
        data.append(1 + xp.floor(rng.exponential(0.8, indices[-1].shape)).astype(xp.float32))
        lengths.append(present.sum(axis=1))
    indptr = xp.concatenate([xp.zeros(1, dtype=xp.int64), xp.cumsum(xp.concatenate(lengths))]).astype(xp.int32)
    return xp.concatenate(data), xp.concatenate(indices), indptr


def matrix(cupy, n_cells: int, seed: int) -> tuple[list, np.ndarray, np.ndarray]:
    """CuPy CSR blocks of cells × genes, and the class and sample of each cell."""
    from cupyx.scipy.sparse import csr_matrix

    rng = np.random.default_rng(seed)
    rate = rates(rng, GENES, CLASSES, DETECTED)
    group, sample = rng.integers(0, CLASSES, n_cells), rng.integers(0, SAMPLES, n_cells)
    blocks = []
    for number, start in enumerate(range(0, n_cells, CELLS_PER_BLOCK)):
        of_block = group[start : start + CELLS_PER_BLOCK]
        parts = counts(cupy, rate, of_block, seed * 1_000 + number + 1)
        blocks.append(csr_matrix(parts, shape=(len(of_block), GENES)))
    return blocks, group, sample


def kernels(cupy, block, group: np.ndarray, sample: np.ndarray, copy: float) -> Iterator[dict]:
    """The library sizes and checks of values; group_stats and gather_dense given those sizes; the float64 product."""
    from smash_gpu.compute import ops
    from smash_gpu.data import stats

    n = block.shape[0]
    problem = Problem(n, block.shape[1], block.nnz, block.data.itemsize, block.indices.itemsize)
    for what, run in (("library_sizes", ops.library_sizes), ("value_checks", partial(ops.value_checks, large=20.0))):
        yield rate_of(what, block.nnz * block.data.itemsize, events(partial(run, block)), copy)
    sizes = ops.library_sizes(block)
    codes = {"by class": (group[:n], CLASSES), "by class and sample": (group[:n] * SAMPLES + sample[:n], 600)}
    codes |= {"by 2 codes": (group[:n] % 2, 2), "by 1,000 codes": (np.arange(n) % 1000, 1000)}
    for what, (code, n_codes) in codes.items():
        code = cupy.asarray(code)
        found = events(partial(ops.group_stats, block, code, n_codes, TARGET, library_size=sizes))
        yield rate_of(f"group_stats {what}", problem.group_stats_bytes(n_codes), found, copy)
    part = block[: min(n, 100_000)]
    problem = Problem(part.shape[0], GENES, part.nnz, part.data.itemsize, part.indices.itemsize)
    for what, n_genes in {
        f"gather_dense, {FEW_CANDIDATES:,} genes": FEW_CANDIDATES,
        "gather_dense": CANDIDATES,
    }.items():
        genes = np.arange(0, GENES, GENES // n_genes)[:n_genes]  # on the host, as all callers have them
        found = events(partial(ops.gather_dense, part, genes, TARGET, library_size=sizes[: part.shape[0]]))
        yield rate_of(what, problem.gather_dense_bytes(n_genes), found, copy) | {"cells": part.shape[0]}
    dense = ops.gather_dense(part, genes, TARGET)[: stats.CELLS_PER_PRODUCT]
    found = events(lambda: ops.moments(dense))
    yield found | {"what": "moments", "tflop_per_s": 2 * len(dense) * len(genes) ** 2 / found["median_s"] / 1e12}


def rate_of(what: str, n_bytes: int, found: dict, copy: float) -> dict:
    """The line of a stage: bytes, seconds, bandwidth and its share of the bandwidth of a copy."""
    bandwidth = n_bytes / found["median_s"] / 1e9
    return {"what": what, **found, "bytes": n_bytes, "gb_per_s": bandwidth, "share_of_copy": bandwidth / copy}


def aggregate(cupy, block, group: np.ndarray) -> Iterator[dict]:
    """The same sums of log-normalised values by rapids-singlecell and by us; skipped if it is not installed."""
    from smash_gpu.compute.device import same_allocator

    try:
        with same_allocator():
            import rapids_singlecell as rsc
    except ImportError:
        return
    import anndata as ad
    import pandas as pd

    from smash_gpu.compute import ops

    n = block.shape[0]
    adata = ad.AnnData(block.copy(), obs=pd.DataFrame({"class": pd.Categorical(group[:n])}))
    rsc.pp.normalize_total(adata, target_sum=TARGET)
    rsc.pp.log1p(adata)
    code, wanted = cupy.asarray(group[:n]), ["count_nonzero", "sum", "sq_sum"]
    yield {"what": f"rapids_singlecell.get.aggregate {wanted}"} | events(
        lambda: rsc.get.aggregate(adata, by="class", func=wanted)
    )
    yield {"what": "group_stats of the same logarithms"} | events(lambda: ops.group_stats(adata.X, code, CLASSES, None))


def pipeline(blocks: list, group: np.ndarray, sample: np.ndarray, model: str) -> dict:
    """Wall time of `tl.smash` from counts on the device to markers."""
    import anndata as ad
    import pandas as pd

    import smash_gpu as smg

    names = pd.Index([f"gene{i}" for i in range(blocks[0].shape[1])])
    obs = pd.DataFrame({"class": pd.Categorical(group.astype(str)), "sample": sample.astype(str)})
    adata = ad.AnnData(joined(blocks), obs=obs, var=pd.DataFrame(index=names))
    start = time.perf_counter()
    smg.tl.smash(adata, "class", model=model, sample_key="sample", device="cuda")
    return {"what": f"tl.smash, model {model}", "wall_s": time.perf_counter() - start}


def joined(blocks: list):
    """One block unchanged, several as a Dask array: CSR matrices of more than 2³¹ values are not reliable.

    Without ``name=False`` Dask would copy every block to the host to derive a name from its contents.
    """
    if len(blocks) == 1:
        return blocks[0]
    import dask.array as da

    return da.concatenate([da.from_array(block, chunks=-1, asarray=False, name=False) for block in blocks])
