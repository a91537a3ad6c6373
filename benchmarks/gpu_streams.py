"""More cells than a device holds: from host memory, h5ad or sharded zarr to markers, with the time of every stage.

A part of ``python -m benchmarks gpu``. Counts are made on the device (`gpu.counts`), some cells at a time, and repeated
until there are as many cells as asked for: in host memory the same arrays are read again, a file holds every cell. What
a pass needs at least is measured beside it: copying the same arrays to the device, or only reading and decoding the
same file; ``busy`` is its share of the pass. Files are dropped from the page cache before each of the two.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks import atlas_data, gpu

VALUES_PER_CHUNK, CHUNKS_PER_SHARD = 2**18, 64
STAGES = {  # what is timed: module, name
    "statistics": ("smash_gpu.data.dataset", "group_stats"),
    "moments": ("smash_gpu.data.dataset", "moments"),
    "expression": ("smash_gpu.data.dataset", "Dataset.expression"),
    "training, importance and prediction": ("smash_gpu.selection.scoring", "_fit"),
}


def from_host(xp, cells: int, distinct: int, seed: int, device: str, **how) -> Iterator[dict]:
    """Lines of a selection from counts in host memory."""
    from smash_gpu.io.lazy import MAIN, OnDisk
    from smash_gpu.io.stack import Stack

    part, group, sample = cells_on_host(xp, min(cells, distinct), seed)
    repeats = -(-cells // part.shape[0])
    stack = Stack([part] * repeats, [None] * repeats)
    names = pd.DataFrame(index=[f"gene{i}" for i in range(part.shape[1])])
    adata = OnDisk({MAIN: stack}, places=[], obs=annotation(group, sample, repeats), var=names)
    least = seconds_to_copy(xp, part) * repeats
    yield from selected(f"host memory to markers, model {how['model']}", adata, {"copying": least}, device, how)


def from_file(
    xp, cells: int, distinct: int, seed: int, device: str, *, kind: str, folder: Path, **how
) -> Iterator[dict]:
    """Lines of a selection from an ``h5ad`` or ``zarr`` file in a temporary folder of ``folder``."""
    import smash_gpu as smg

    with TemporaryDirectory(dir=folder) as place:
        path = Path(place) / f"cells.{kind}"
        part, group, sample = cells_on_host(xp, min(cells, distinct), seed)
        start = time.perf_counter()
        write(path, part, annotation(group, sample, -(-cells // part.shape[0])))
        size = size_of(path)
        yield {"what": f"writing {kind}", "wall_s": time.perf_counter() - start, "file_gb": size / 1e9}
        del part
        forget(path)
        least = seconds_to_read(smg.read(path), device)
        forget(path)
        name = f"{kind} file to markers, model {how['model']}"
        for row in selected(name, smg.read(path), {"reading and decoding": least}, device, how):
            yield row | {"file_gb": size / 1e9}


def selected(what: str, adata, least: dict[str, float], device: str, how: dict) -> Iterator[dict]:
    """The line of ``tl.smash``, with seconds per stage, and how much of the pass for the sums its ``least`` takes."""
    import smash_gpu as smg
    from smash_gpu.runtime import memory

    with timed_stages() as seconds:
        start = time.perf_counter()
        smg.tl.smash(adata, "class", sample_key="sample", device=device, **how)
        wall = time.perf_counter() - start
    row = {"what": what, "cells": adata.n_obs, "wall_s": wall, "stages_s": dict(seconds)}
    busy = {which: needed / seconds["statistics"] for which, needed in least.items()}
    row |= {"busy": busy, "peak_host_gb": memory.peak() / 1e9}
    row["accuracy"] = float(np.mean(adata.uns["smash"]["accuracy"]))
    shares = ", ".join(f"{share:.0%} of it {which}" for which, share in busy.items())
    yield row | {"note": f"sums in {seconds['statistics']:.1f} s, {shares}"}


@contextmanager
def timed_stages() -> Iterator[dict[str, float]]:
    """Seconds in each of `STAGES`, to their end on the device."""
    from importlib import import_module
    from unittest.mock import patch

    from smash_gpu.compute import xp

    seconds: dict[str, float] = defaultdict(float)

    def timed(name: str, run: Callable) -> Callable:
        def call(*arguments, **options):
            start = time.perf_counter()
            try:
                return run(*arguments, **options)
            finally:
                if xp.cupy is not None and xp.cupy.is_available():
                    xp.cupy.cuda.runtime.deviceSynchronize()
                seconds[name] += time.perf_counter() - start

        return call

    patches = []
    for name, (module, of) in STAGES.items():
        holder = import_module(module)
        for part in of.split(".")[:-1]:
            holder = getattr(holder, part)
        attribute = of.split(".")[-1]
        patches.append(patch.object(holder, attribute, timed(name, getattr(holder, attribute))))
    for one in patches:
        one.start()
    try:
        yield seconds
    finally:
        for one in patches:
            one.stop()


def cells_on_host(xp, n_cells: int, seed: int) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Counts in host memory, and the class and sample of each cell."""
    from smash_gpu.compute.xp import to_host

    rng = np.random.default_rng(seed)
    rate = gpu.rates(rng, gpu.GENES, gpu.CLASSES, gpu.DETECTED)
    group, sample = rng.integers(0, gpu.CLASSES, n_cells), rng.integers(0, gpu.SAMPLES, n_cells)
    parts = tuple(map(to_host, gpu.counts(xp, rate, group, seed + 1)))
    return sparse.csr_matrix(parts, shape=(n_cells, gpu.GENES)), group, sample


def annotation(group: np.ndarray, sample: np.ndarray, repeats: int) -> pd.DataFrame:
    """Classes and samples of repeated cells."""
    classes = pd.Categorical.from_codes(np.tile(group, repeats), [f"class {c:02d}" for c in range(gpu.CLASSES)])
    samples = pd.Categorical.from_codes(np.tile(sample, repeats), [f"sample {s:02d}" for s in range(gpu.SAMPLES)])
    index = pd.RangeIndex(len(classes)).astype(str)
    return pd.DataFrame({"class": classes, "sample": samples}, index=index)


def write(path: Path, part: sparse.csr_matrix, obs: pd.DataFrame) -> None:
    """The cells ``part``, repeated, as an h5ad file (gzip) or a zarr store of format 3 (zstd, in shards)."""
    names = pd.DataFrame(index=[f"gene{i}" for i in range(part.shape[1])])
    repeats = len(obs) // part.shape[0]
    attributes = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [len(obs), part.shape[1]]}
    lengths = np.tile(np.diff(part.indptr).astype(np.int64), repeats)
    indptr = np.append(0, np.cumsum(lengths))
    kind = "i4" if indptr[-1] < 2**31 else "i8"
    if path.suffix == ".h5ad":
        ad.AnnData(obs=obs, var=names).write_h5ad(path)
        with h5py.File(path, "a") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            file.pop("X", None)
            group = file.create_group("X")
            group.attrs.update(attributes)
            for name, values in (("data", part.data), ("indices", part.indices)):
                column = atlas_data.Column(group, name, values.dtype.str, pool, gzip=True)
                for _ in range(repeats):
                    column.append(values)
                column.close()
            group["indptr"] = indptr.astype(kind)
        return
    _write_zarr(path, part, ad.AnnData(obs=obs, var=names), attributes, indptr.astype(kind))


def _write_zarr(path: Path, part: sparse.csr_matrix, empty: ad.AnnData, attributes: dict, indptr: np.ndarray) -> None:
    import zarr

    ad.settings.zarr_write_format = 3
    empty.write_zarr(path)
    store = zarr.open_group(path, mode="a")
    if "X" in store:
        del store["X"]
    group = store.create_group("X", attributes=attributes)
    group.create_array("indptr", data=indptr)
    per_shard = VALUES_PER_CHUNK * CHUNKS_PER_SHARD
    for name, values in (("data", part.data), ("indices", part.indices)):
        array = group.create_array(
            name, shape=(int(indptr[-1]),), dtype=values.dtype, chunks=(VALUES_PER_CHUNK,), shards=(per_shard,)
        )
        for start in range(0, array.shape[0], per_shard):
            stop = min(start + per_shard, array.shape[0])
            array[start:stop] = np.take(values, np.arange(start, stop) % len(values))
    zarr.consolidate_metadata(path)


def seconds_to_copy(xp, part: sparse.csr_matrix) -> float:
    """Seconds to copy values and indices to the device, once, after a first time."""
    from smash_gpu.compute.xp import cupy

    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        for first in range(0, part.nnz, 2**27):
            for values in (part.data, part.indices):
                xp.asarray(values[first : first + 2**27])
        if xp is cupy:
            xp.cuda.runtime.deviceSynchronize()
        seconds.append(time.perf_counter() - start)
    return seconds[1]


def seconds_to_read(adata, device: str) -> float:
    """Seconds to read and decode all blocks of X, as a pass does, without computing on them."""
    from smash_gpu.blocks.prefetch import prefetched
    from smash_gpu.blocks.readers import reader
    from smash_gpu.blocks.sizes import row_cuts

    start = time.perf_counter()
    for _ in prefetched(reader(adata.X), list(row_cuts(adata.X, device))):
        pass
    return time.perf_counter() - start


def forget(path: Path) -> None:
    """Write a file or store to the disk, and drop it from the page cache."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a store."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
