"""Panels as lists of genes: for Xenium, MERSCOPE and CosMx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.features import gene_names
from smash_gpu.export._order import SETS, counts, ordered, whole
from smash_gpu.genes.lists import Genes, IdTable
from smash_gpu.io.text import write_rows

XENIUM_COLUMNS = ("Gene", "Ensembl ID", "Probe sets", "Force")
MERSCOPE_COLUMNS = ("Gene", "Ensembl ID", "Counts per cell")
COSMX_COLUMNS = ("Target", "Ensembl ID", "Counts per cell", "Most counts per cell", "Class with the most")
FORCED = "forced"


def xenium(
    adata: AnnData,
    path: str | Path,
    *,
    ensembl_key: str | None = None,
    ensembl_table: IdTable | None = None,
    probe_sets_key: str | None = None,
    forced: Genes | None = None,
    key: str = slots.PANEL,
) -> None:
    """Write the panel of `tl.panel` as a gene list of the Xenium Panel Designer.

    Columns ``Gene``, ``Ensembl ID``, ``Probe sets``, ``Force``; ``smash-gpu evaluate --genes`` reads it back.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    path
        The CSV file to write.
    ensembl_key
        Column of ``adata.var`` with Ensembl ids. None: ``var_names`` if they are such ids, else the column that is
        called "gene_ids", "gene_id", "ensembl_id", "feature_id" or the like.
    ensembl_table
        Ensembl ids by symbol for genes without one in ``adata.var``: a mapping, a table, or the path of one, such as
        features.tsv.gz of Cell Ranger. Where there is none either, the id is left empty, with a warning.
    probe_sets_key
        Column of ``adata.var`` with numbers of probe sets. None: those that the design gives, else they are left to the
        designer.
    forced
        Genes marked "forced", which the designer then keeps in spite of its warnings. None: those that had to be in.
    key
        Name of the slots of the panel.

    Returns
    -------
    None. Writes one row per gene, in the order of choice.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet, or a column is not in ``adata.var``.

    References
    ----------
    10x Genomics, Xenium Panel Designer, gene list format.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> adata = smg.datasets.planted()
    >>> adata.var["ensembl"] = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    >>> smg.tl.panel(adata, "cell_type", n_genes=3, include=["NOISE9"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     smg.export.xenium(adata, f"{folder}/panel.csv", ensembl_key="ensembl")
    ...     print(pathlib.Path(folder, "panel.csv").read_text().splitlines()[:2])
    ['Gene,Ensembl ID,Probe sets,Force', 'NOISE9,ENSG00000000009,,forced']
    """
    where: dict[str, Any] = {
        "ensembl_key": ensembl_key,
        "ensembl_table": ensembl_table,
        "probe_sets_key": probe_sets_key,
    }
    table = ordered(adata, key, **where)
    sets, force = map(whole, table[SETS]), _forced(adata, table, forced, key)
    rows = zip(table["symbol"], table["ensembl_id"], sets, force, strict=True)
    write_rows(Path(path), [XENIUM_COLUMNS, *rows])


def merscope(
    adata: AnnData,
    path: str | Path,
    *,
    ensembl_key: str | None = None,
    ensembl_table: IdTable | None = None,
    key: str = slots.PANEL,
) -> None:
    """Write the panel of `tl.panel` as a plain gene list: columns ``Gene``, ``Ensembl ID``, ``Counts per cell``.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    path
        The CSV file to write.
    ensembl_key
        Column of ``adata.var`` with Ensembl ids, as for `xenium`.
    ensembl_table
        Ensembl ids by symbol, as for `xenium`.
    key
        Name of the slots of the panel.

    Returns
    -------
    None. Writes one row per gene, in the order of choice; counts are raw counts per cell, to three significant digits.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet, or the column is not in ``adata.var``.

    References
    ----------
    Vizgen, MERSCOPE Gene Panel Design Portal.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> adata = smg.datasets.planted()
    >>> adata.var["ensembl"] = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    >>> smg.tl.panel(adata, "cell_type", n_genes=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     smg.export.merscope(adata, f"{folder}/panel.csv", ensembl_key="ensembl")
    ...     print(pathlib.Path(folder, "panel.csv").read_text().splitlines()[0])
    Gene,Ensembl ID,Counts per cell
    """
    table = ordered(adata, key, ensembl_key=ensembl_key, ensembl_table=ensembl_table)
    rows = zip(table["symbol"], table["ensembl_id"], counts(table, "mean_counts"), strict=True)
    write_rows(Path(path), [MERSCOPE_COLUMNS, *rows])


def cosmx(
    adata: AnnData,
    path: str | Path,
    *,
    ensembl_key: str | None = None,
    ensembl_table: IdTable | None = None,
    key: str = slots.PANEL,
) -> None:
    """Write the panel of `tl.panel` as a list of CosMx targets with how bright they are.

    Columns ``Target``, as CosMx calls a gene in its files, ``Ensembl ID``, ``Counts per cell``, ``Most counts per
    cell`` and ``Class with the most``. The form in which custom targets are ordered is not public.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    path
        The CSV file to write.
    ensembl_key, ensembl_table
        Where Ensembl ids are, as for `xenium`.
    key
        Name of the slots of the panel.

    Returns
    -------
    None. Writes one row per gene, in the order of choice; counts are raw counts per cell, to three significant digits.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet, or the column is not in ``adata.var``.

    References
    ----------
    NanoString, CosMx SMI data release, columns of the transcript file.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> adata = smg.datasets.planted()
    >>> adata.var["ensembl"] = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    >>> smg.tl.panel(adata, "cell_type", n_genes=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     smg.export.cosmx(adata, f"{folder}/panel.csv", ensembl_key="ensembl")
    ...     print(pathlib.Path(folder, "panel.csv").read_text().splitlines()[0])
    Target,Ensembl ID,Counts per cell,Most counts per cell,Class with the most
    """
    table = ordered(adata, key, ensembl_key=ensembl_key, ensembl_table=ensembl_table)
    mean, most = counts(table, "mean_counts"), counts(table, "max_counts")
    brightest = table["max_class"] if "max_class" in table else [""] * len(table)
    rows = zip(table["symbol"], table["ensembl_id"], mean, most, brightest, strict=True)
    write_rows(Path(path), [COSMX_COLUMNS, *rows])


def _forced(adata: AnnData, table: pd.DataFrame, forced: Genes | None, key: str) -> list[str]:
    if forced is None:
        return [FORCED if priority == "must" else "" for priority in table["priority"]]
    genes = gene_names(adata, slots.recorded(adata, key, "panel").get("gene_symbols"))
    names = set(genes.names[genes.numbers(forced, "forced")])
    return [FORCED if name in names else "" for name in table["name"]]
