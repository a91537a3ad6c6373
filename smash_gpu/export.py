"""Panels as vendors take them: gene lists for Xenium and MERSCOPE, and Xenium's reference bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.annotated.columns import column
from smash_gpu.annotated.ensembl import ensembl_ids
from smash_gpu.annotated.features import gene_names
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import Source
from smash_gpu.data.bundle import Bundle
from smash_gpu.genes.lists import Genes, IdTable
from smash_gpu.io.text import write_rows
from smash_gpu.panel.request import MIN_CELLS
from smash_gpu.runtime.memory import limit

__all__ = ["merscope", "xenium", "xenium_reference"]
XENIUM_COLUMNS = ("Gene", "Ensembl ID", "Probe sets", "Force")
FORCED = "forced"
XENIUM_BYTES = 2 * 10**9


def __dir__() -> list[str]:
    return __all__


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
        Column of ``adata.var`` with numbers of probe sets; None leaves them to the designer.
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
    table = get.panel_table(adata, key=key)
    var = adata.var.set_axis(adata.var_names.astype(str)).loc[table["name"]]
    force = _forced(adata, table, forced, key)
    probe_sets = [""] * len(table) if probe_sets_key is None else column(var, probe_sets_key, "var").tolist()
    ids = ensembl_ids(adata, table["name"], table["symbol"], key=ensembl_key, table=ensembl_table)
    rows = zip(table["symbol"], ids, probe_sets, force, strict=True)
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
    table = get.panel_table(adata, key=key)
    counts = map(_three_digits, table["mean_counts"]) if "mean_counts" in table else [""] * len(table)
    ids = ensembl_ids(adata, table["name"], table["symbol"], key=ensembl_key, table=ensembl_table)
    rows = zip(table["symbol"], ids, counts, strict=True)
    write_rows(Path(path), [("Gene", "Ensembl ID", "Counts per cell"), *rows])


def xenium_reference(
    adata: AnnData,
    folder: str | Path,
    *,
    groupby: str,
    ensembl_key: str | None = None,
    ensembl_table: IdTable | None = None,
    max_bytes: int = XENIUM_BYTES,
    random_state: int = 0,
    layer: str | None = Source.layer,
    use_raw: bool = Source.use_raw,
    normalize: bool | None = Source.normalize,
    gene_symbols: str | None = Source.gene_symbols,
    min_cells: int | None = Source.min_cells,
    device: str = Source.device,
    memory: int | str | None = None,
) -> None:
    """Write the reference that the Xenium Panel Designer asks for: raw counts and cell types.

    ``matrix.mtx.gz`` (genes × cells), ``features.tsv.gz`` (Ensembl id, symbol, type), ``barcodes.tsv.gz`` and
    ``celltypes.csv`` (barcode, annotation). Cells without a label are left out. Fractions are rounded to whole counts,
    and barcodes that occur more than once get "-1", "-2", each with a warning.

    Parameters
    ----------
    adata
        Annotated cells × genes with raw counts.
    folder
        Folder to write to; made if it is absent.
    groupby
        Column of ``adata.obs`` with the cell types.
    ensembl_key
        Column of ``adata.var`` with Ensembl ids, as for `xenium`.
    ensembl_table
        Ensembl ids by symbol, as for `xenium`.
    max_bytes
        Largest size of the bundle in bytes, uncompressed. Above that, cells are drawn in proportion to the cell types.
    random_state
        Seed of that draw.
    layer, use_raw
        Where the raw counts are, as in `pp.filter_genes`.
    normalize
        True: the values are counts in spite of fractions, as in `pp.filter_genes`. False is an error.
    gene_symbols, min_cells
        Column of ``adata.var`` with gene symbols, and the size of the smallest cell type, as in `tl.panel`.
    device, memory
        "auto", "cpu" or "cuda", and the most memory of the whole process; as in `pp.filter_genes`.

    Returns
    -------
    None. Writes four files.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column or layer is not in the data.
    ValueError
        If the matrix does not hold raw counts, or ``max_bytes`` leaves no room for a cell.

    References
    ----------
    10x Genomics, Xenium Panel Designer, single-cell reference format.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> adata = smg.datasets.planted()
    >>> adata.var["ensembl"] = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     smg.export.xenium_reference(adata, folder, groupby="cell_type", ensembl_key="ensembl")
    ...     print(sorted(path.name for path in pathlib.Path(folder).iterdir()))
    ['barcodes.tsv.gz', 'celltypes.csv', 'features.tsv.gz', 'matrix.mtx.gz']
    """
    source: dict[str, Any] = {"groupby": groupby, "layer": layer, "use_raw": use_raw, "normalize": normalize}
    with limit(memory):
        source["min_cells"] = MIN_CELLS if min_cells is None else min_cells
        data = read(adata, source | {"gene_symbols": gene_symbols, "device": device})
        ids = ensembl_ids(adata, data.names, data.symbols, key=ensembl_key, table=ensembl_table)
        Bundle(data, adata.obs_names.to_numpy(), ids).write(
            Path(folder), max_bytes=max_bytes, random_state=random_state
        )


def _forced(adata: AnnData, table: pd.DataFrame, forced: Genes | None, key: str) -> list[str]:
    if forced is None:
        return [FORCED if priority == "must" else "" for priority in table["priority"]]
    genes = gene_names(adata, slots.recorded(adata, key, "panel").get("gene_symbols"))
    names = set(genes.names[genes.numbers(forced, "forced")])
    return [FORCED if name in names else "" for name in table["name"]]


def _three_digits(count: float) -> str:
    """Three significant digits, without an exponent."""
    return np.format_float_positional(count, precision=3, fractional=False, trim="-")
