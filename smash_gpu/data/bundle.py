"""The reference bundle of 10x Genomics: counts, genes, barcodes and cell types as text."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import draw
from smash_gpu.data.verdict import LooksLoggedError
from smash_gpu.errors import warn
from smash_gpu.io.text import packed, write_rows

LINES_AT_ONCE = 2**16
BYTES_PER_VALUE = 24  # of a line "gene cell count" of the matrix, at most
NEEDED = "the Xenium Panel Designer needs raw counts"
WAYS = "Pass layer= for the layer that holds the counts, or normalize=True if these are corrected counts."


@dataclass(frozen=True)
class Bundle:
    """What is written: the data, a barcode per cell of the matrix, and an Ensembl id per gene."""

    data: Dataset
    barcodes: np.ndarray
    ids: Sequence[str]

    def write(self, folder: Path, *, max_bytes: int, random_state: int) -> None:
        """Write four files; cells without a group are left out, and others by lot beyond ``max_bytes``.

        Values are rounded to whole counts, with a warning; so are barcodes made unique. Nothing is written before.

        Raises
        ------
        ValueError
            If there is no room for a cell.
        """
        data = self.data
        try:
            values = whole_counts(data)
        except LooksLoggedError as error:  # logarithms are no way out here
            raise ValueError(f"{NEEDED}, but {error.found}. {error.counts or WAYS}") from None
        barcodes = unique(self.barcodes)
        cells = _cells_that_fit(data, values, max_bytes, random_state)
        folder.mkdir(parents=True, exist_ok=True)
        with packed(folder / "features.tsv.gz") as file:
            rows = zip(self.ids, data.symbols, ["Gene Expression"] * len(self.ids), strict=True)
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)
        with packed(folder / "barcodes.tsv.gz") as file:
            file.writelines(f"{barcode}\n" for barcode in barcodes[cells])
        annotation = zip(barcodes[cells], data.groups[data.group[cells]], strict=True)
        write_rows(folder / "celltypes.csv", [("barcode", "annotation"), *annotation])
        _write_matrix(folder / "matrix.mtx.gz", data, cells, int(values[cells].sum()))


def whole_counts(data: Dataset) -> np.ndarray:
    """Number of values of each cell that are not 0 after rounding; warns if there are fractions.

    Raises
    ------
    ValueError
        If the values are logarithms, or scaled.
    """
    found, fractions, n_values = [], 0, 0
    data.known.require_counts(NEEDED)
    for block, _ in data.blocks():
        counts = np.rint(block.data)
        fractions += int(np.count_nonzero(counts != block.data))
        n_values += len(counts)
        is_kept = counts != 0
        ends = block.indptr if is_kept.all() else np.append(0, np.cumsum(is_kept))[block.indptr]
        found.append(np.diff(ends))
    data.known.require_counts(NEEDED)  # of what the pass has found
    if fractions:
        warn(
            f"{fractions:,} of {n_values:,} values are fractions, as after a correction for ambient RNA. They are "
            "rounded to whole counts, which the Xenium Panel Designer asks for; better pass layer= with the "
            "uncorrected counts."
        )
    return np.concatenate(found)


def unique(barcodes: np.ndarray) -> np.ndarray:
    """Each barcode once: later ones get "-1", "-2" and so on, with a warning."""
    names = pd.Series(barcodes.astype(str), dtype=object)
    repeated = names.duplicated(keep=False)
    if not repeated.any():
        return names.to_numpy()
    warn(
        f"{int(repeated.sum()):,} of {len(names):,} cells share their barcode with another, as where samples were put "
        "together; '-1', '-2' and so on are appended in the files. adata.obs_names_make_unique() does so in the data."
    )
    taken, number = set(names), dict.fromkeys(names[repeated], 0)
    for cell in np.flatnonzero(names.duplicated()):
        name = names[cell]
        while (suffixed := f"{name}-{number[name] + 1}") in taken:
            number[name] += 1
        taken.add(suffixed)
        names[cell] = suffixed
    return names.to_numpy()


def _cells_that_fit(data: Dataset, values: np.ndarray, max_bytes: int, random_state: int) -> np.ndarray:
    """All cells with a label, or as many in proportion to the labels as fit, with so many ``values`` in each cell."""
    fixed = 64 * len(data.names)
    longest = 3 + max((len(str(name)) for name in data.groups), default=0) + 64  # a barcode, twice, and its cell type
    size = np.cumsum(BYTES_PER_VALUE * values[data.cells] + longest)
    if fixed + size[-1] <= max_bytes:
        return data.cells
    low, high = 0, len(data.cells)
    while high - low > 1:  # the draw of n cells grows with n
        n = (low + high) // 2
        cells = draw(data.group, data.cells, n, random_state, balanced=False)
        fits = fixed + (BYTES_PER_VALUE * values[cells] + longest).sum() <= max_bytes
        low, high = (n, high) if fits else (low, n)
    if not low:
        raise ValueError(f"max_bytes={max_bytes:,} leaves no room for a single cell of {len(data.names):,} genes.")
    warn(f"{low:,} of {len(data.cells):,} cells fit into {max_bytes:,} bytes; the other cells are left out.")
    return draw(data.group, data.cells, low, random_state, balanced=False)


def _write_matrix(path: Path, data: Dataset, cells: np.ndarray, n_values: int) -> None:
    chosen = np.full(len(data.group), -1)
    chosen[cells] = np.arange(len(cells))
    genes, order = _words(np.arange(1, len(data.names) + 1), " "), _words(np.arange(1, len(cells) + 1), " ")
    with packed(path) as file:
        file.write("%%MatrixMarket matrix coordinate integer general\n")
        file.write(f"{len(data.names)} {len(cells)} {n_values}\n")
        for block, at in data.blocks(chosen):
            part = block[at >= 0].tocoo()
            counts = np.rint(part.data).astype(np.int64)
            kept = np.flatnonzero(counts)
            gene, cell, count = part.col[kept], at[at >= 0][part.row[kept]], counts[kept]
            for start in range(0, len(count), LINES_AT_ONCE):
                now = slice(start, start + LINES_AT_ONCE)
                file.write(_lines(genes[gene[now]], order[cell[now]], _counts(count[now])))


def _words(numbers: np.ndarray, end: str) -> np.ndarray:
    """Each number in digits, then ``end``; ASCII, padded with NUL."""
    longest = len(str(numbers.max(initial=0))) + len(end)
    return np.char.add(numbers.astype("S"), end.encode()).astype(f"S{longest}")


def _counts(numbers: np.ndarray) -> np.ndarray:
    """The same of counts, which end a line: each different one is put in words once."""
    if numbers.max(initial=0) < LINES_AT_ONCE:
        return _words(np.arange(numbers.max(initial=0) + 1), "\n")[numbers]
    different, which = np.unique(numbers, return_inverse=True)
    return _words(different, "\n")[which]


def _lines(*columns: np.ndarray) -> str:
    """One line per row: fixed widths side by side, without the NULs; ten times as fast as formatting numbers."""
    rows = np.rec.fromarrays(columns)
    return rows.tobytes().translate(None, b"\0").decode("ascii")
