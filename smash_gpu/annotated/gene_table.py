"""A user's table of genes beside ``adata.var``, joined by name, symbol or Ensembl id."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated.features import gene_names, only_genes
from smash_gpu.errors import warn
from smash_gpu.genes.tables import IDS, NAMES, known_column, names_in, read_table
from smash_gpu.runtime.words import join_names


def annotation(adata: AnnData, table: pd.DataFrame | Path | None, gene_symbols: str | None) -> pd.DataFrame:
    """The rows of ``adata.var`` that are genes, with the columns of ``table``; missing where it lacks a gene.

    A column of the table takes the place of one of the same name. Columns that hold names or ids are left out.

    Raises
    ------
    ValueError
        If no gene of the table is in the data, or none of its columns is called name, gene, symbol or the like.
    NotFoundError
        If there is no column ``gene_symbols``.
    """
    var = only_genes(adata, adata.var)
    if table is None:
        return var
    added = columns(adata, table, gene_symbols)
    return var.drop(columns=[name for name in added if name in var]).assign(**added)


def columns(adata: AnnData, table: pd.DataFrame | Path, gene_symbols: str | None) -> dict[str, np.ndarray]:
    """The columns of a table, genes in the order of the data; names, symbols and ids left out."""
    if isinstance(table, pd.DataFrame):
        what, names, values = "gene_table", table, table
    else:
        read = read_table(table)
        what, names, values = str(table), read.frame, read.values
    place = _rows(adata, names, what, gene_symbols)
    values = values.reset_index(drop=True)
    return {str(name): column.reindex(place).to_numpy() for name, column in values.items() if not _names(name)}


def _rows(adata: AnnData, table: pd.DataFrame, what: str, gene_symbols: str | None) -> np.ndarray:
    """The row of the table for every gene, the first of several; −1: none."""
    genes, known = names_in(table, what, otherwise=0), gene_names(adata, gene_symbols)
    rows = [[] if gene is None else known.all_of(gene) for gene in genes]
    unknown = [str(gene) for gene, here in zip(genes, rows, strict=True) if gene is not None and not here]
    if not any(rows):
        raise ValueError(f"{what}: none of its genes ({join_names(unknown)}) is in the data by name, symbol or id.")
    if not all(rows):
        warn(f"{what}: {rows.count([]):,} of {len(rows):,} rows are of no gene in the data: {join_names(unknown)}.")
    place = np.full(len(known.names), -1)
    for number, here in reversed(list(enumerate(rows))):
        place[here] = number
    return place


def _names(column: object) -> bool:
    return known_column([column], (*NAMES, *IDS)) is not None
