"""Before the choice of genes: filters that narrow ``adata.var["smash_candidate"]``, and lengths of transcripts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.features import gene_names, of_all_features
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import Source
from smash_gpu.errors import warn
from smash_gpu.genes import gtf
from smash_gpu.genes.lists import IGNORE, Genes, listed
from smash_gpu.genes.values import numbers_in, of_genes
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.runtime.words import join_names
from smash_gpu.selection import steps
from smash_gpu.selection.options import Filters, InversePCA

__all__ = ["filter_genes", "inverse_pca", "transcript_lengths"]


def __dir__() -> list[str]:
    return __all__


def filter_genes(
    adata: AnnData,
    groupby: str,
    *,
    min_fraction: float = Filters.min_fraction,
    max_fraction: float | None = Filters.max_fraction,
    max_groups: float = Filters.max_groups,
    families: Iterable[str] = Filters.families,
    species: str = Filters.species,
    exclude: Genes = Filters.exclude,
    keep: Genes = Filters.keep,
    layer: str | None = Source.layer,
    use_raw: bool = Source.use_raw,
    normalize: bool | None = Source.normalize,
    gene_symbols: str | None = Source.gene_symbols,
    min_cells: int | None = Source.min_cells,
    sample_key: str | None = Source.sample_key,
    batch_key: str | None = Source.batch_key,
    device: str = Source.device,
    memory: int | str | None = None,
    key: str = slots.KEY,
) -> None:
    """Take general, rare and ubiquitous genes out of the candidates.

    Parameters
    ----------
    adata
        Annotated cells × genes; raw counts unless ``normalize=False``. Sparse (CSR, CSC), dense, Dask or on disk.
    groupby
        Column of ``adata.obs`` with the cell types or states.
    min_fraction
        A gene stays if at least this share of the cells of at least one class express it; from 0 to 1.
    max_fraction, max_groups
        None: no such rule. The paper's is 0.75: a gene goes if at least ``max_fraction`` of the cells express it in at
        least ``max_groups`` of the classes, and in two at least (with two classes, half of them is the one whose marker
        it may be). The rule asks where a gene is detected, not how much of it: LYZ goes where two of four classes are
        monocytes, and panels of equal size tell classes apart less well (``benchmarks/quality.py``).
    families
        Gene families to remove: "mitochondrial", "ribosomal", "heat_shock", "hla" (MHC), "housekeeping".
    species
        "human", "mouse", or "auto": by the spelling of the gene names.
    exclude, keep
        Genes to remove, and genes that no rule removes: names, symbols or Ensembl ids. A list, a table with a column
        such as "name", "gene" or "symbol", or the ``pathlib.Path`` of a file with one gene per line or such a table.
    layer
        Layer to read instead of ``X``.
    use_raw
        Whether to read ``adata.raw`` instead of ``X``; it must hold the same genes.
    normalize
        None: the matrix holds raw counts, which are scaled to 10,000 per cell and log-transformed; of several files by
        the sum over the genes that all have. Values that look like logarithms are an error. True: the same, and such
        values are taken as counts (corrected counts that are small). False: the matrix is log-normalised already.
    gene_symbols
        Column of ``adata.var`` with gene symbols, if ``var_names`` are something else (Ensembl ids).
    min_cells
        Leave out classes with fewer cells, with a warning. None: a class of fewer than 2 cells is an error.
    sample_key
        Column of ``adata.obs`` with the sample, patient or donor of each cell; "file" if each of several files is one.
    batch_key
        Column of ``adata.obs`` with the batch of each cell, which Harmony corrects; or "file".
    device
        "auto", "cpu" or "cuda".
    memory
        Most memory that the whole process may use during this call: bytes, or "8GB". None: what it uses, and half of
        what is free. This decides how many cells are read at a time, and whether the cells to train on are kept on
        disk; results do not depend on it.
    key
        Prefix of the slots.

    Returns
    -------
    None. Fills ``.var["smash_candidate"]`` (bool) and ``.uns["smash"]["filters"]`` (one row per rule: ``rule``,
    ``matched``, ``removed``, ``left``; numbers of genes, int64). Later steps read the same matrix and cells.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column, layer or gene is not in the data.
    smash_gpu.errors.NothingLeftError
        If no gene is left.
    ValueError
        If an option, label, gene name or value cannot be used; the message says what to do.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, Methods, "Filtering".

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.pp.filter_genes(adata, "cell_type", exclude=["NOISE9"])
    >>> bool(adata.var["smash_candidate"]["MARKER0X"]), bool(adata.var["smash_candidate"]["NOISE9"])
    (True, False)
    """
    slots.require_storable(key)
    lists = {"families": families, "exclude": exclude, "keep": keep}
    numbers = {"min_fraction": min_fraction, "max_fraction": max_fraction, "max_groups": max_groups}
    options = Filters.of(numbers | lists | {"species": species})
    source = Source(
        layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols, min_cells=min_cells,
        sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    where = {"groupby": groupby} | vars(source)
    with limit(memory):
        data = read(adata, where)
        options = options.by_name(data.gene_names)
        candidates, ledger = steps.filter_genes(data, options)
    slots.start(adata, key)
    slots.record(adata, key, "source", where)
    slots.record(adata, key, "filters", asdict(options))
    slots.write_candidates(adata, candidates, ledger, key)
    _say_how_many(candidates)


def inverse_pca(
    adata: AnnData,
    *,
    n_top: int = InversePCA.n_top,
    variance: float = InversePCA.variance,
    keep: Genes = InversePCA.keep,
    memory: int | str | None = None,
    key: str = slots.KEY,
) -> None:
    """Keep candidates with a large loading on a leading principal component.

    Equal to standardising every gene and a full PCA, but from the correlation matrix of the candidates (genes × genes),
    which is summed block by block, or with fewer cells than candidates from products of cells (cells × cells); cells
    without a class do not take part. `tl.smash` leaves this step out by default: it does not improve panels, and among
    the genes that it removes are well-known markers that many other genes vary with.

    Parameters
    ----------
    adata
        Annotated cells × genes after `filter_genes`.
    n_top
        Genes per component.
    variance
        Components count until their cumulative share of the variance first exceeds this; from 0 to 1.
    keep
        Genes that stay with any loadings. Those kept in `filter_genes` stay as well.
    memory
        Most memory of the whole process during this call, as in `filter_genes`.
    key
        Prefix of the slots.

    Returns
    -------
    None. Narrows ``.var["smash_candidate"]`` (bool) and adds a row to ``.uns["smash"]["filters"]``.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a gene of ``keep`` is not in the data.
    ValueError
        If `filter_genes` has not run yet.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, Methods, "Inverse PCA".

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.pp.filter_genes(adata, "cell_type")
    >>> before = adata.var["smash_candidate"].sum()
    >>> smg.pp.inverse_pca(adata, n_top=1, variance=0.3)
    >>> bool(adata.var["smash_candidate"].sum() < before)
    True
    """
    where = slots.source(adata, key)
    kept_before = slots.recorded(adata, key, "filters").get("keep", ())
    options = InversePCA(n_top, variance, (*kept_before, *listed(keep, "keep")))
    with limit(memory):
        data = read(adata, where)
        options = options.by_name(data.gene_names)
        candidates, ledger = steps.inverse_pca(data, slots.candidates(adata, key), options)
    ledger = pd.concat([slots.require(adata, "filters", key, "pp.filter_genes"), ledger], ignore_index=True)
    slots.record(adata, key, "inverse_pca", asdict(options))
    slots.write_candidates(adata, candidates, ledger, key)
    _say_how_many(candidates)


def transcript_lengths(
    adata: AnnData,
    path: str | Path | pd.DataFrame,
    *,
    gene_symbols: str | None = Source.gene_symbols,
    key_added: str = "transcript_length",
) -> None:
    """Add the length of every gene's longest transcript, for limits of `tl.panel` on the room for probes.

    Parameters
    ----------
    adata
        Annotated data, cells × genes.
    path
        An annotation in GTF, plain or compressed (.gtf, .gtf.gz): the exons of each transcript are summed. Or a table,
        or the path of one, with genes and their lengths; of several rows of a gene the largest counts.
    gene_symbols
        Column of ``adata.var`` with gene symbols. Genes are found by name, symbol or Ensembl id.
    key_added
        Name of the column.

    Returns
    -------
    None. Fills ``.var["transcript_length"]``: bases, float64, NaN where no length is known, with a warning.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If there is no column ``gene_symbols``.
    ValueError
        If the file holds no lengths, or none of its genes is in the data.

    References
    ----------
    GTF: GENCODE, format of the annotation files.

    Examples
    --------
    >>> import pandas as pd, smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> lengths = pd.DataFrame({"gene": adata.var_names, "length": range(1000, 1000 + adata.n_vars)})
    >>> smg.pp.transcript_lengths(adata, lengths)
    >>> adata.var["transcript_length"].tolist()[:2]
    [1000.0, 1001.0]
    """
    given = Path(path) if isinstance(path, str) else path
    table = gtf.transcript_lengths(given) if isinstance(given, Path) and gtf.is_gtf(given) else given
    known = gene_names(adata, gene_symbols)
    lengths = of_genes(known, numbers_in(table, "transcript_lengths"), "transcript_lengths", missing=IGNORE)
    absent = known.names[pd.isna(lengths)]
    if len(absent):
        warn(f"{len(absent):,} of {len(lengths):,} genes have no transcript length: {join_names(absent)}.")
    adata.var[key_added] = of_all_features(adata, lengths)


def _say_how_many(candidates: np.ndarray) -> None:
    say(f"{candidates.sum():,} of {len(candidates):,} genes are candidates.")
