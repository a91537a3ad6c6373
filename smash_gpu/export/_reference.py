"""The single-cell reference that the Xenium Panel Designer asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anndata import AnnData

from smash_gpu.annotated.ensembl import ensembl_ids
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import Source
from smash_gpu.data.bundle import Bundle
from smash_gpu.genes.lists import IdTable
from smash_gpu.panel.request import MIN_CELLS
from smash_gpu.runtime.memory import limit

XENIUM_BYTES = 2 * 10**9


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
