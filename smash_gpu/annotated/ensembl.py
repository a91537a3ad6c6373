"""Ensembl ids of genes, from ``adata.var`` or a table of the user's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from anndata import AnnData

from smash_gpu.annotated.columns import column
from smash_gpu.annotated.features import gene_names, only_genes
from smash_gpu.data.dataset import Dataset
from smash_gpu.errors import warn
from smash_gpu.genes.lists import IdTable, ids_by_name
from smash_gpu.genes.tables import texts
from smash_gpu.runtime.words import join_names

MOST_NAMED = 1000  # no panel has more; a whole matrix has


def known_ids(adata: AnnData, genes: Iterable[tuple[str, str]], *, key: str | None, table: IdTable | None) -> list[str]:
    """The Ensembl id of each gene, a pair of name and symbol; "" where it is not known. The rest as `ensembl_ids`."""
    known = gene_names(adata)
    ids = known.ids if key is None else texts(column(only_genes(adata, adata.var), key, "var"))
    by_name = {} if ids is None else dict(zip(known.names, ids, strict=True))
    others = {} if table is None else ids_by_name(table, "ensembl_table")
    return [by_name.get(name) or others.get(name) or others.get(symbol) or "" for name, symbol in genes]


def ensembl_ids(
    adata: AnnData, names: Iterable[str], symbols: Iterable[str], *, key: str | None, table: IdTable | None
) -> list[str]:
    """The Ensembl id of each gene; "", with a warning that names the genes, where it is not known.

    Parameters
    ----------
    names, symbols
        The genes, by name in ``adata.var_names`` and by symbol.
    key
        Column of ``adata.var`` with ids. None: see `smash_gpu.genes.lists.ids_in`.
    table
        Ids by symbol, for genes without one in ``adata.var``.

    Raises
    ------
    NotFoundError, FileNotFoundError, ValueError
        If there is no such column or file, or the table holds no ids.
    """
    pairs = list(zip(names, symbols, strict=True))
    found = known_ids(adata, pairs, key=key, table=table)
    unknown = [symbol for (_, symbol), known in zip(pairs, found, strict=True) if not known]
    if unknown:
        listed = ", ".join(unknown) if len(unknown) <= MOST_NAMED else join_names(unknown)
        some = f" of {len(unknown):,} of {len(found):,} genes" if len(unknown) < len(found) else ""
        warn(
            f"the Ensembl ids{some} are not known and are left empty{f': {listed}' if some else ''}; pass ensembl_key= "
            "with a column of adata.var, or ensembl_table= with a file that has them by symbol."
        )
    return found


def with_ids(adata: AnnData, data: Dataset, *, key: str | None, table: IdTable | None) -> Dataset:
    """The data with the ids of a column or table of the user's; as they are without either."""
    if key is None and table is None:
        return data
    ids = known_ids(adata, zip(data.names, data.symbols, strict=True), key=key, table=table)
    return replace(data, ids=np.array(ids, dtype=object))
