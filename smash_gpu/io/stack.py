"""Matrices of several files as one, with cells concatenated; values are read only when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, singledispatch
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from scipy import sparse

from smash_gpu.io import matrices
from smash_gpu.io.kinds import know_codecs

CELLS_AT_ONCE = 4096
WIDEST_GAP = 64  # cells; smaller gaps are read and dropped instead of being skipped
Genes = np.ndarray | None


class Stack:
    """Cells × genes: the rows of several matrices in order; each matrix has its own gene order.

    Attributes
    ----------
    matrices
        Matrices that can be sliced by rows: NumPy, SciPy, `anndata.abc.CSRDataset`, HDF5 or zarr array.
    genes
        For each matrix, its columns in the gene order of the stack; None for all, unchanged.
    cells
        Row numbers over all matrices, in the cell order of the stack; None for all, unchanged.
    """

    ndim = 2

    def __init__(self, matrices: Sequence[Any], genes: Sequence[Genes], cells: np.ndarray | None = None) -> None:
        self.matrices, self.genes, self.cells = tuple(matrices), tuple(genes), cells
        self.lengths = [X.shape[0] for X in self.matrices]
        self._starts = np.array([0, *accumulate(self.lengths)])

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of cells and genes."""
        n_cells = int(self._starts[-1]) if self.cells is None else len(self.cells)
        return n_cells, self.matrices[0].shape[1] if self.genes[0] is None else len(self.genes[0])

    @property
    def dtype(self) -> np.dtype:
        """The common type of the values of all matrices."""
        return np.result_type(*(X.dtype for X in self.matrices))

    @property
    def unstacked(self) -> Any:
        """The matrix itself if there is only one and all of it is used; else the stack."""
        return self.matrices[0] if len(self.matrices) == 1 and self.cells is None and self.genes[0] is None else self

    def __repr__(self) -> str:
        n_cells, n_genes = self.shape
        return f"Stack of {len(self.matrices)} matrices, {n_cells:,} cells × {n_genes:,} genes, {self.dtype}"

    def __reduce__(self) -> tuple:
        return _received, ([_sent(getattr(X, "group", X)) for X in self.matrices], self.genes, self.cells)

    def __getitem__(self, index: Any) -> sparse.csr_matrix:
        """A slice in memory, with any index that AnnData uses."""
        cells, genes = index if isinstance(index, tuple) else (index, slice(None))
        return self.only(cells, genes).to_memory()

    def only(self, cells: Any = slice(None), genes: Any = slice(None)) -> Stack:
        """A stack of the chosen cells and genes (slices, masks or numbers); reads nothing."""
        chosen = self.cells
        if not _is_everything(cells):
            numbers = np.arange(self._starts[-1]) if chosen is None else chosen
            chosen = np.atleast_1d(numbers[_flat(cells)])
        if _is_everything(genes):
            return Stack(self.matrices, self.genes, chosen)
        each = zip(self.matrices, self.genes, strict=True)
        columns = (np.arange(X.shape[1]) if own is None else own for X, own in each)
        return Stack(self.matrices, [np.atleast_1d(own[_flat(genes)]) for own in columns], chosen)

    def map(self, change: Callable[[Any], Any]) -> Stack:
        """The same cells and genes, with ``change`` applied to each matrix."""
        return Stack([change(X) for X in self.matrices], self.genes, self.cells)

    def to_memory(self) -> sparse.csr_matrix:
        """The whole stack in memory."""
        by_rows = self.map(matrices.rows_first)
        n_cells, n_genes = self.shape
        cuts = (slice(start, min(start + CELLS_AT_ONCE, n_cells)) for start in range(0, n_cells, CELLS_AT_ONCE))
        blocks = [by_rows.block(cut) for cut in cuts]
        return sparse.vstack(blocks, format="csr") if blocks else sparse.csr_matrix((0, n_genes), dtype=self.dtype)

    def block(self, cut: slice, reads: Sequence[Callable[[slice], Any]] | None = None) -> sparse.csr_matrix:
        """The cells ``cut`` in memory; ``reads`` read rows of each matrix (None: by its own indexing)."""
        reads = reads or [X.__getitem__ for X in self.matrices]
        if self.cells is None:
            return _below(self._read(reads[i], part, i) for i, part in self._slices(cut))
        wanted = self.cells[cut]
        order = np.argsort(wanted, kind="stable")
        found = _below(self._read(reads[i], part, i, chosen) for i, part, chosen in self._runs(wanted[order]))
        return found if (np.diff(order) == 1).all() else found[np.argsort(order)]

    def _read(self, read: Callable, part: slice, i: int, chosen: np.ndarray | None = None) -> sparse.csr_matrix:
        block = read(part)
        block = sparse.csr_matrix(block if sparse.issparse(block) else matrices.computable(np.asarray(block)))
        if chosen is not None and not np.array_equal(chosen, np.arange(part.stop - part.start)):
            block = block[chosen]
        genes = self.genes[i]
        return block if genes is None else take_columns(block, genes)

    def _slices(self, cut: slice) -> Iterator[tuple[int, slice]]:
        """The numbers of the matrices that hold the rows ``cut``, and the slice of rows in each."""
        first, last = np.searchsorted(self._starts, (cut.start, cut.stop), side="right") - 1
        for i in range(first, min(last, len(self.matrices) - 1) + 1):
            start, stop = max(cut.start, self._starts[i]), min(cut.stop, self._starts[i + 1])
            if start < stop:
                yield i, slice(int(start - self._starts[i]), int(stop - self._starts[i]))

    def _runs(self, wanted: np.ndarray) -> Iterator[tuple[int, slice, np.ndarray]]:
        """Row ranges of one matrix that hold the ``wanted`` (sorted) rows without wide gaps, and the rows in each."""
        at = np.searchsorted(self._starts, wanted, side="right") - 1
        apart = np.diff(wanted) > WIDEST_GAP
        ends = np.flatnonzero(apart | (np.diff(at) > 0) | (np.diff(wanted // CELLS_AT_ONCE) > 0)) + 1
        for run in np.split(np.arange(len(wanted)), ends):
            rows = wanted[run] - self._starts[at[run[0]]]
            yield int(at[run[0]]), slice(int(rows[0]), int(rows[-1]) + 1), rows - rows[0]


@matrices.rows_first.register
def _(X: Stack, folder: Path | None = None) -> Stack:
    return X.map(partial(matrices.rows_first, folder=folder))


@matrices.parts.register
def _(X: Stack) -> tuple:
    return X.matrices


@matrices.chosen.register
def _(X: Stack) -> tuple[Genes, ...]:
    return *X.genes, X.cells


@matrices.value_arrays.register
def _(X: Stack) -> list[Any]:
    return list(X.matrices)


@matrices.to_memory.register
def _(X: Stack) -> sparse.csr_matrix:
    return X.to_memory()


def with_genes(X: Any, genes: np.ndarray) -> Stack:
    """The numbered genes of a matrix on the host or on disk; reads nothing."""
    return X.only(genes=genes) if isinstance(X, Stack) else Stack([X], [genes])


class _InFile(NamedTuple):
    """An element of an HDF5 file, which h5py does not pickle."""

    path: str
    name: str


@singledispatch
def _sent(element: Any) -> Any:
    return element


@_sent.register(h5py.Dataset | h5py.Group)
def _(element: h5py.Dataset | h5py.Group) -> _InFile:
    return _InFile(*matrices.origin(element))


def _received(elements: Iterable[Any], genes: Sequence[Genes], cells: np.ndarray | None) -> Stack:
    found = (_open(element) if isinstance(element, _InFile) else element for element in elements)
    return Stack(list(map(matrices.opened, found)), genes, cells)


def _open(element: _InFile) -> h5py.Dataset | h5py.Group:
    know_codecs(Path(element.path))
    return h5py.File(element.path, "r")[element.name]


def take_columns(block: sparse.csr_matrix, columns: np.ndarray) -> sparse.csr_matrix:
    """The numbered columns of a CSR matrix, in that order and possibly repeated; sorted within rows if ``block`` is."""
    once, places = np.unique(columns, return_inverse=True)
    if len(once) < len(columns):
        taken = take_columns(block, once)[:, places]
        taken.sort_indices()
        return taken
    place = np.full(block.shape[1], -1, dtype=block.indices.dtype)
    place[columns] = np.arange(len(columns))
    to = place[block.indices]
    kept = to >= 0
    parts = block.data[kept], to[kept], np.append(0, np.cumsum(kept))[block.indptr]
    taken = sparse.csr_matrix(parts, (block.shape[0], len(columns)))
    if not (np.diff(columns) > 0).all():
        taken.sort_indices()
    return taken


def _below(blocks: Iterable[sparse.csr_matrix]) -> sparse.csr_matrix:
    blocks = list(blocks)
    return blocks[0] if len(blocks) == 1 else sparse.vstack(blocks, format="csr")


def _is_everything(index: Any) -> bool:
    return isinstance(index, slice) and index in (slice(None), slice(None, None, 1))


def _flat(index: Any) -> Any:
    return index if isinstance(index, slice) else np.ravel(index)
