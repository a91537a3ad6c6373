"""Converts a matrix stored by genes (CSC) to CSR, on disk and in bounded memory.

The columns are read in order, and their values are appended to buckets, which are files of consecutive cells. Each
bucket is then sorted in memory and appended to a CSR matrix. The source file is read once, from start to end; at most
two copies of a bucket are on disk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from errno import ENOSPC
from hashlib import sha256
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import Any

import anndata as ad
import h5py
import numpy as np
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from smash_gpu.errors import warn
from smash_gpu.io import hdf5, integrity, matrices
from smash_gpu.runtime import atomic, spill
from smash_gpu.runtime import memory as runtime_memory
from smash_gpu.runtime.progress import track

SHARE_OF_ROOM = 0.5
BYTES_TO_DEAL = 56  # memory per value while it is assigned to a bucket, besides its records: cell, gene, bucket, order
BYTES_TO_ORDER = 32  # memory per value while its bucket is sorted
MOST_BUCKETS = 256  # open files
NAME = "X"
PREFIX = "smash-gpu-"
WAY_OUT = "Set TMPDIR (or the work folder, if you use one) to a larger disk, or store the matrix as CSR."
_folders: dict[str, TemporaryDirectory] = {}


@matrices.rows_first.register
def by_cells(X: CSCDataset, folder: Path | None = None) -> CSRDataset:
    """``X`` as CSR on disk; warns that it is converted.

    Parameters
    ----------
    X
        Cells × genes, stored by genes in HDF5 or zarr.
    folder
        Where to keep the result for later runs. None: a temporary folder (in `spill.folder`), removed when the program
        ends; until then the same matrix is converted only once.

    Raises
    ------
    OSError
        If the disk has too little free space.
    """
    name = f"by-cells-{sha256(repr(_identity(X)).encode()).hexdigest()[:16]}.h5"
    if folder is None and name in _folders:
        return _opened(Path(_folders[name].name) / name)
    at = spill.folder() if folder is None else folder
    at.mkdir(parents=True, exist_ok=True)
    if folder is not None and _can_be_opened(at / name):
        return _opened(at / name)
    needed = _check_disk(X, at)
    warn(
        f"the matrix is stored by genes (CSC): converting {_where(X)} once to CSR, {needed / 1e9:,.2f} GB in {at}. "
        "Store it as CSR to avoid that."
    )
    if folder is not None:
        atomic.remove_leftovers(at)
        with atomic.written(at / name) as path:
            _convert(X, path)
        return _opened(at / name)
    atomic.remove_leftovers(at, f"{PREFIX}*")
    with ExitStack() as stack:
        place = TemporaryDirectory(prefix=f"{PREFIX}{name}-", suffix=atomic.PARTIAL, dir=at, ignore_cleanup_errors=True)
        path = Path(stack.enter_context(place)) / name
        atomic.lock(path.parent)
        _convert(X, path)
        _folders[name] = place
        stack.pop_all()
    return _opened(path)


def _can_be_opened(path: Path) -> bool:
    """Whether the file exists and is complete, according to HDF5."""
    try:
        with h5py.File(path, "r"):
            return True
    except OSError:
        return False


def _opened(path: Path) -> CSRDataset:
    return ad.io.sparse_dataset(h5py.File(path, "r")[NAME])


def _convert(X: CSCDataset, path: Path) -> None:
    """Write ``X`` as CSR to a file."""
    try:
        with TemporaryDirectory(dir=path.parent) as buckets, h5py.File(path, "w") as file:
            plan = _Plan(X)
            _write(file, X, plan.in_order(plan.deal(X, Path(buckets))))
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        raise OSError(
            ENOSPC, f"the disk of {path.parent} became full while {_where(X)} was converted to CSR. {WAY_OUT}"
        ) from error


class _Plan:
    """The number of cells per bucket, the record of a value, and how many values fit in memory at once."""

    def __init__(self, X: CSCDataset) -> None:
        n_values, (n_cells, n_genes) = matrices.n_values(X), X.shape
        memory = SHARE_OF_ROOM * runtime_memory.room()
        itemsize = X.group["data"].dtype.itemsize
        self.to_deal = int(memory // (BYTES_TO_DEAL + 3 * itemsize))
        self.to_order = int(memory // (BYTES_TO_ORDER + 3 * itemsize))
        n_buckets = min(max(1, -(-n_values // self.to_order)), MOST_BUCKETS, max(n_cells, 1))
        self.cells = max(1, -(-n_cells // n_buckets))
        self.shape = X.shape
        self.record = np.dtype(
            [
                ("cell", np.min_scalar_type(self.cells)),
                ("gene", np.min_scalar_type(n_genes)),
                ("value", X.group["data"].dtype),
            ]
        )

    @property
    def starts(self) -> range:
        """The first cell of every bucket."""
        return range(0, self.shape[0], self.cells)

    def deal(self, X: CSCDataset, folder: Path) -> list[Path]:
        """Write the values of ``X`` to the buckets of their cells, gene by gene."""
        indptr = hdf5.array_reader(X.group["indptr"])(0, X.shape[1] + 1).astype(np.int64)
        n_values = matrices.n_values(X)
        indices, values = (hdf5.array_reader(X.group[name]) for name in ("indices", "data"))
        paths = [folder / str(i) for i in range(len(self.starts))]
        with ExitStack() as stack:
            files = [stack.enter_context(path.open("wb", buffering=0)) for path in paths]
            for start in track(range(0, n_values, self.to_deal), "converting to CSR", unit="part"):
                cut = slice(start, min(start + self.to_deal, n_values))
                bucket, cell = np.divmod(indices(cut.start, cut.stop), self.cells)
                bucket = bucket.astype(np.min_scalar_type(len(files)))
                records = np.empty(len(bucket), dtype=self.record)
                records["cell"], records["gene"], records["value"] = (
                    cell,
                    _genes(indptr, cut),
                    values(cut.start, cut.stop),
                )
                records = records[np.argsort(bucket, kind="stable")].view(np.uint8)
                ends = np.cumsum(np.bincount(bucket, minlength=len(files))) * self.record.itemsize
                for file, low, high in zip(files, [0, *ends], ends, strict=False):
                    _append(file, records[low:high].data)
        return paths

    def in_order(self, buckets: list[Path]) -> Iterator[sparse.csr_matrix]:
        """CSR blocks of consecutive cells, in order; each bucket is deleted after it is read."""
        for path, start in track(list(zip(buckets, self.starts, strict=True)), "converting to CSR", unit="bucket"):
            n_cells = min(self.cells, self.shape[0] - start)
            for low, high, records in self._in_parts(path, n_cells):
                yield self._csr(records, low, high)
            path.unlink()

    def _in_parts(self, path: Path, n_cells: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """The records of a bucket, for as many cells (``low`` to ``high``) at a time as fit in memory."""
        n_records = path.stat().st_size // self.record.itemsize
        if n_records <= self.to_order:
            yield 0, n_cells, np.fromfile(path, self.record)
            return
        sizes = sum(np.bincount(part["cell"], minlength=n_cells) for part in self._read(path, n_records))
        turn = np.cumsum(sizes) // self.to_order
        ends = [*(np.flatnonzero(np.diff(turn)) + 1), n_cells]
        for low, high in zip([0, *ends], ends, strict=False):
            parts = self._read(path, n_records)
            yield low, high, np.concatenate([p[(p["cell"] >= low) & (p["cell"] < high)] for p in parts])

    def _read(self, path: Path, n_records: int) -> Iterator[np.ndarray]:
        for start in range(0, n_records, self.to_order):
            yield np.fromfile(path, self.record, count=self.to_order, offset=start * self.record.itemsize)

    def _csr(self, records: np.ndarray, low: int, high: int) -> sparse.csr_matrix:
        """The records as CSR; they are ordered by gene, so they form a CSC matrix directly."""
        indptr = np.append(0, np.cumsum(np.bincount(records["gene"], minlength=self.shape[1])))
        cell = records["cell"].astype(np.int32) - np.int32(low)
        return sparse.csc_matrix((records["value"], cell, indptr), (high - low, self.shape[1])).tocsr()


def _genes(indptr: np.ndarray, cut: slice) -> np.ndarray:
    """The gene of each value in ``cut``."""
    first, last = np.searchsorted(indptr, (cut.start, cut.stop - 1), side="right") - 1
    return np.repeat(np.arange(first, last + 1), np.diff(indptr[first : last + 2].clip(cut.start, cut.stop)))


def _append(file: Any, records: memoryview) -> None:
    while len(records):
        records = records[file.write(records) :]


def _write(file: h5py.File, X: CSCDataset, blocks: Iterator[sparse.csr_matrix]) -> None:
    n_values, n_cells = matrices.n_values(X), X.shape[0]
    group = file.create_group(NAME)
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array(X.shape)})
    group.create_dataset("data", (n_values,), X.group["data"].dtype)
    group.create_dataset("indices", (n_values,), np.int32)
    indptr, cell, end = np.zeros(n_cells + 1, dtype=np.int64), 0, 0
    for block in blocks:
        group["data"][end : end + block.nnz] = block.data
        group["indices"][end : end + block.nnz] = block.indices
        indptr[cell + 1 : cell + 1 + block.shape[0]] = end + block.indptr[1:].astype(np.int64)
        cell, end = cell + block.shape[0], end + block.nnz
    group["indptr"] = indptr


def _check_disk(X: CSCDataset, folder: Path) -> int:
    """Bytes of the result; an OSError if they and a bucket do not fit on the disk."""
    needed = matrices.n_values(X) * (np.dtype(np.int32).itemsize + X.group["data"].dtype.itemsize)
    needed += 8 * X.shape[0]
    free = disk_usage(folder).free
    if 1.1 * needed > free:
        raise OSError(
            f"not enough disk space to convert {_where(X)} from CSC to CSR: {needed:,} bytes plus 10 % are needed in "
            f"{folder}, {free:,} are free. {WAY_OUT}"
        )
    return needed


def _where(X: CSCDataset) -> str:
    path, name = matrices.origin(X.group)
    return f"{name.strip('/') or 'the matrix'} of {Path(path).name}"


def _identity(X: CSCDataset) -> tuple:
    """What identifies a matrix on disk and its current version."""
    return *matrices.origin(X.group), X.shape, matrices.n_values(X), *integrity.files(matrices.places(X)).items()
