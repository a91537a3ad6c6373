"""One door to files: one, several, or a pattern."""

from __future__ import annotations

from collections.abc import Iterable

from anndata import AnnData

from smash_gpu.io.concat import Paths, expand, open_cells
from smash_gpu.io.open import open_file


def read(
    paths: Paths,
    *,
    lazily: bool | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    groupby: str | Iterable[str] | None = None,
    sample_key: str | None = None,
    batch_key: str | None = None,
) -> AnnData:
    """Annotated cells of one or several h5ad files and zarr stores; large matrices stay on disk.

    Several files are one data set: cells below cells, genes joined by their names (those of all files, in the order of
    the first). Counts are then scaled by the sum of the **common** genes. ``var`` has the columns of the first file,
    ``obs`` those of all, and ``obs["file"]`` the file of each cell, unless the files have such a column. If two files
    share a cell name, the name of its file is appended to each. ``uns["smash_files"]`` lists the files and how many of
    their genes are left out; their own ``uns`` and ``varm`` are not read.

    Parameters
    ----------
    paths
        A path, a pattern such as ``"run*/counts.h5ad"``, or a list of those.
    lazily
        Whether ``X``, layers and ``raw`` stay on disk. None: if they would take more than 1 GiB of memory, or an eighth
        of the memory that may be used. ``obs``, ``var``, ``uns`` and ``varm`` are read in any case; ``obsm``, ``obsp``
        and ``varp`` are left out of lazily read data.
    layer
        The layer that will be used. Then a zarr store may lack chunks of other matrices, with a warning, and each of
        several files must have this layer.
    use_raw
        Whether ``raw`` will be used; as for ``layer``. The genes of several files are then those of ``raw``, and ``X``
        and layers are left out.
    groupby
        Column of ``obs`` with cell types, or several columns. Each of several files must have them.
    sample_key
        Column of ``obs`` with samples; as for ``groupby``.
    batch_key
        Column of ``obs`` with batches; as for ``groupby``.

    Returns
    -------
    Annotated cells × genes. Lazily read data have the methods of `anndata.AnnData`: slices stay on disk,
    ``to_memory()`` reads them, and ``write_h5ad`` writes annotation and results without the matrices.

    Raises
    ------
    FileNotFoundError
        If a file is not there, or no file fits a pattern.
    smash_gpu.errors.NotFoundError
        If one of several files lacks a layer or a column.
    ValueError
        If a file is neither h5ad nor zarr, is damaged, has a gene twice, or shares no genes with the others; the
        message names the file.
    OSError
        If too many files are open.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> smg.datasets.planted(random_state=0).write_h5ad(f"{folder.name}/run0.h5ad")
    >>> smg.datasets.planted(random_state=1).write_h5ad(f"{folder.name}/run1.h5ad")
    >>> smg.read(f"{folder.name}/run0.h5ad").shape
    (240, 60)
    >>> adata = smg.read(f"{folder.name}/run*.h5ad")
    >>> adata.obs["file"].value_counts().to_dict()
    {'run0': 240, 'run1': 240}
    """
    found = expand(paths)
    if len(found) == 1 and layer is None and not use_raw:
        return open_file(found[0], lazily=lazily)
    columns = [groupby] if groupby is None or isinstance(groupby, str) else list(groupby)
    source = {"groupby": columns, "layer": layer, "use_raw": use_raw, "sample_key": sample_key, "batch_key": batch_key}
    return open_cells(found, source, lazily=lazily)
