"""Synthetic counts for the atlas benchmark: an h5ad file of any number of cells, written block by block.

Library sizes are log-normal (median 2,200 counts, σ 0.45). Genes' shares of a library are log-normal (σ 2.5), so that
about 1,000 of 20,000 genes are detected in a cell. Lineages (6) and classes (30, five per lineage) change the shares
of some genes at random; 3 % of every library is ambient. Class sizes fall geometrically to 0.05 %. Five markers are
planted in every class: genes of 0.05 to 0.12 % of its libraries, and nearly absent elsewhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd

GENES, CLASSES, LINEAGES, MARKERS = 20_000, 30, 6, 5
RAREST = 0.0005
MEDIAN_LIBRARY, LIBRARY_SIGMA, ABUNDANCE_SIGMA = 2_200, 0.45, 2.5
AMBIENT = 0.03
LINEAGE_GENES, LINEAGE_SIGMA, CLASS_GENES, CLASS_SIGMA = 0.10, 0.4, 0.03, 0.4
MARKER_SHARE, ABSENT_SHARE = (5e-4, 1.2e-3), 1e-6
DONORS = 10
CELLS_PER_BLOCK = 2_048
VALUES_PER_CHUNK = 65_536  # about what h5py chooses by default for an array of this size
GZIP_LEVEL = 4  # h5py's default


def proportions() -> np.ndarray:
    """Share of the cells of each class: a geometric series that ends at `RAREST` and sums to 1."""
    low, high = 0.5, 0.999
    for _ in range(60):
        ratio = (low + high) / 2
        total = RAREST * sum(ratio**-k for k in range(CLASSES))
        low, high = (ratio, high) if total > 1 else (low, ratio)
    return RAREST * ratio ** -np.arange(CLASSES)[::-1]


def profiles(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of every gene in a library (classes × genes), and the planted markers (classes × `MARKERS`)."""
    rng = np.random.default_rng(seed)
    base = rng.lognormal(0, ABUNDANCE_SIGMA, GENES)
    logs = np.log(base / base.sum())[None] + np.repeat(
        _changes(rng, LINEAGES, LINEAGE_GENES, LINEAGE_SIGMA), CLASSES // LINEAGES, axis=0
    )
    logs += _changes(rng, CLASSES, CLASS_GENES, CLASS_SIGMA)
    shares = np.exp(logs)
    planted = rng.permutation(GENES)[: CLASSES * MARKERS].reshape(CLASSES, MARKERS)
    shares[:, planted.ravel()] = 0
    shares /= shares.sum(axis=1, keepdims=True)
    shares[:, planted.ravel()] = ABSENT_SHARE
    shares[np.arange(CLASSES)[:, None], planted] = rng.uniform(*MARKER_SHARE, planted.shape)
    shares /= shares.sum(axis=1, keepdims=True)
    return (1 - AMBIENT) * shares + AMBIENT * (proportions() @ shares), planted


def write(path: Path, n_cells: int, *, seed: int = 0, gzip: bool = True) -> Path:
    """An h5ad file of ``n_cells``, CSR float32 with int32 or int64 indices, gzip-compressed or not."""
    labels = classes(n_cells, seed)
    index = "i4" if n_cells * 1_500 < 2**31 else "i8"
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical.from_codes(labels, class_names()),
            "donor": pd.Categorical.from_codes(
                np.arange(n_cells) * DONORS // n_cells, [f"donor {d}" for d in range(DONORS)]
            ),
        },
        index=pd.RangeIndex(n_cells).astype(str),
    )
    empty = ad.AnnData(obs=obs, var=pd.DataFrame(index=gene_names(seed)))
    partial = path.with_suffix(".partial")
    empty.write_h5ad(partial)
    with h5py.File(partial, "a") as file, ThreadPoolExecutor(2) as pool:
        if "X" in file:
            del file["X"]
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (n_cells, GENES)})
        columns = {
            name: Column(group, name, kind, pool, gzip=gzip) for name, kind in (("data", "f4"), ("indices", index))
        }
        lengths = []
        for counts, genes, n_detected in blocks(labels, seed):
            columns["data"].append(counts)
            columns["indices"].append(genes)
            lengths.append(n_detected)
        for column in columns.values():
            column.close()
        group["indptr"] = np.append(0, np.cumsum(np.concatenate(lengths))).astype(index)
    partial.rename(path)
    return path


def classes(n_cells: int, seed: int) -> np.ndarray:
    """The class of every cell: a fixed number of cells per class, in random order."""
    ends = np.round(np.cumsum(proportions()) * n_cells).astype(int)
    labels = np.searchsorted(ends, np.arange(n_cells), side="right").clip(max=CLASSES - 1)
    return np.random.default_rng(seed + 1).permutation(labels).astype(np.int8)


def class_names() -> list[str]:
    """Names of the classes, the most frequent first."""
    return [f"class {c:02d}" for c in range(CLASSES)]


def gene_names(seed: int) -> list[str]:
    """Gene names; the names of planted markers contain their class."""
    names = np.array([f"gene{g:05d}" for g in range(GENES)], dtype=object)
    for c, genes in enumerate(profiles(seed)[1]):
        names[genes] = [f"planted{c:02d}.{k}" for k in range(MARKERS)]
    return list(names)


def blocks(labels: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Counts, gene numbers and detected genes per cell, for some cells at a time."""
    threshold, alias = _alias_tables(profiles(seed)[0])
    rng = np.random.default_rng(seed + 2)
    for start in range(0, len(labels), CELLS_PER_BLOCK):
        part = labels[start : start + CELLS_PER_BLOCK]
        size = rng.lognormal(np.log(MEDIAN_LIBRARY), LIBRARY_SIGMA, len(part)).astype(int).clip(min=200)
        cell = np.repeat(np.arange(len(part)), size)
        place = rng.integers(0, GENES, len(cell), dtype=np.int32)
        flat = part[cell].astype(np.int32) * GENES + place
        gene = np.where(rng.random(len(cell), dtype=np.float32) < threshold[flat], place, alias[flat])
        key = np.sort(cell.astype(np.int64) * GENES + gene)
        first = np.flatnonzero(np.diff(key, prepend=-1))
        counts = np.diff(first, append=len(key)).astype("f4")
        row, gene = np.divmod(key[first], GENES)
        yield counts, gene, np.bincount(row, minlength=len(part))


class Column:
    """A growing one-dimensional array in an HDF5 group, written chunk by chunk and compressed in threads."""

    def __init__(self, group: h5py.Group, name: str, kind: str, pool: ThreadPoolExecutor, *, gzip: bool) -> None:
        filters = {"compression": "gzip", "compression_opts": GZIP_LEVEL} if gzip else {}
        self.data = group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(VALUES_PER_CHUNK,), **filters)
        self.pool, self.gzip = pool, gzip
        self.rest = np.empty(0, kind)

    def append(self, values: np.ndarray) -> None:
        """Write all complete chunks and keep the rest."""
        values = np.concatenate([self.rest, values.astype(self.rest.dtype)])
        whole = len(values) // VALUES_PER_CHUNK * VALUES_PER_CHUNK
        self._write(values[:whole].reshape(-1, VALUES_PER_CHUNK), whole)
        self.rest = values[whole:].copy()

    def close(self) -> None:
        """Write the rest."""
        chunk = np.zeros((1, VALUES_PER_CHUNK), self.rest.dtype)
        chunk[0, : len(self.rest)] = self.rest
        self._write(chunk[: len(self.rest)], len(self.rest))

    def _write(self, chunks: np.ndarray, n_values: int) -> None:
        start = len(self.data)
        self.data.resize((start + n_values,))
        packed = self.pool.map(lambda c: zlib.compress(c, GZIP_LEVEL) if self.gzip else c.tobytes(), chunks)
        for k, chunk in enumerate(packed):
            self.data.id.write_direct_chunk((start + k * VALUES_PER_CHUNK,), chunk)


def _changes(rng: np.random.Generator, n: int, share: float, sigma: float) -> np.ndarray:
    return rng.normal(0, sigma, (n, GENES)) * (rng.random((n, GENES)) < share)


def _alias_tables(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's alias method with one table per class, flattened: draw a position, then keep it or take its alias."""
    tables = [_alias_table(p) for p in shares]
    return tuple(np.concatenate(part) for part in zip(*tables, strict=True))


def _alias_table(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scaled = p * len(p)
    alias = np.arange(len(p), dtype=np.int32)
    small, large = list(np.flatnonzero(scaled < 1)), list(np.flatnonzero(scaled >= 1))
    while small and large:
        s, g = small.pop(), large[-1]
        alias[s] = g
        scaled[g] -= 1 - scaled[s]
        if scaled[g] < 1:
            small.append(large.pop())
    return scaled.clip(max=1).astype(np.float32), alias
