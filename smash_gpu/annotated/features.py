"""Which rows of ``adata.var`` are genes, and what they are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated.columns import column
from smash_gpu.compute.xp import on_gpu, take_columns
from smash_gpu.errors import warn
from smash_gpu.genes.aliases import aliases_in
from smash_gpu.genes.kinds import are_genes
from smash_gpu.genes.kinds import kinds as kinds_of
from smash_gpu.genes.lists import GeneNames, ids_in
from smash_gpu.genes.tables import texts
from smash_gpu.io.stack import with_genes
from smash_gpu.runtime.cluster import is_dask
from smash_gpu.runtime.words import join_names


def gene_rows(adata: AnnData) -> np.ndarray | None:
    """Numbers of the rows of ``adata.var`` that are genes; None if it does not say that some are not."""
    kinds = kinds_of(adata.var)
    return None if kinds is None else np.flatnonzero(are_genes(kinds))


def note_others(adata: AnnData) -> None:
    """Warn of the rows of ``adata.var`` that are not genes."""
    kinds = kinds_of(adata.var)
    if kinds is None:
        return
    others = kinds[~are_genes(kinds)]
    counts = others.astype(object).fillna("not given").value_counts()
    listed = join_names(f"{kind} ({n:,})" for kind, n in counts.items())
    warn(
        f"{len(others):,} of {adata.n_vars:,} features are not genes, as adata.var[{kinds.name!r}] says, and are left "
        f"out, also of the sums that counts are scaled by: {listed}."
    )


def only_genes(adata: AnnData, values: Any) -> Any:
    """The part of ``values`` (… × features) that is about genes; also of a table with one row per feature."""
    rows = gene_rows(adata)
    if rows is None:
        return values
    return values.iloc[rows] if isinstance(values, pd.DataFrame) else values[..., rows]


def of_all_features(adata: AnnData, values: np.ndarray) -> np.ndarray:
    """``values`` (… × genes) with False or NaN for the features that are not genes."""
    rows = gene_rows(adata)
    if rows is None:
        return values
    missing = False if values.dtype == bool else np.nan
    whole = np.full((*values.shape[:-1], adata.n_vars), missing, dtype=values.dtype)
    whole[..., rows] = values
    return whole


def columns_of_genes(matrix: Any, rows: np.ndarray | None) -> Any:
    """The numbered columns of a matrix of any kind; of one on the host or on disk nothing is copied or read."""
    if rows is None:
        return matrix
    if is_dask(matrix):
        whole = matrix if matrix.numblocks[1] == 1 else matrix.rechunk({1: matrix.shape[1]})
        return whole.map_blocks(_columns, rows, dtype=matrix.dtype, chunks=(whole.chunks[0], (len(rows),)))
    if on_gpu(matrix):
        return take_columns(matrix, rows)
    return with_genes(matrix, rows)


def gene_names(adata: AnnData, symbols: str | None = None) -> GeneNames:
    """The names, symbols and Ensembl ids of the genes; a gene without a symbol goes by its name.

    Raises
    ------
    NotFoundError
        If there is no column ``symbols``.
    """
    var = only_genes(adata, adata.var)
    names = var.index.astype(str).to_numpy(dtype=object)
    known = names
    if symbols is not None:
        given = texts(column(var, symbols, "var"))
        known = np.array([one or name for one, name in zip(given, names, strict=True)], dtype=object)
    return GeneNames(names, known, ids_in(var, names), aliases_in(var, known))


def _columns(block: Any, rows: np.ndarray) -> Any:
    return block[:, rows]
