"""Which genes can be markers: filters that narrow ``adata.var["smash_candidate"]`` and never subset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Unpack

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import Source, takes_source
from smash_gpu.compute import pca
from smash_gpu.genes import filters as gene_filters
from smash_gpu.genes import names as gene_names
from smash_gpu.runtime.words import names_of
from smash_gpu.selection import steps
from smash_gpu.selection.options import Filters, InversePCA

__all__ = ["filter_genes", "inverse_pca"]


def __dir__() -> list[str]:
    return __all__


@takes_source
def filter_genes(
    adata: AnnData,
    groupby: str,
    *,
    min_fraction: float = gene_filters.MIN_FRACTION,
    max_fraction: float | None = None,
    max_groups: float = gene_filters.MAX_GROUPS,
    families: Iterable[str] = gene_names.FAMILY_NAMES,
    species: str = "auto",
    exclude: Iterable[str] = (),
    keep: Iterable[str] = (),
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """Take general, rare and ubiquitous genes out of the candidates (paper, Methods, "Filtering").

    Parameters
    ----------
    adata
        Annotated cells × genes; raw counts unless ``normalize=False``.
    groupby
        Column of ``adata.obs`` with the cell types or states.
    min_fraction
        A gene stays if at least this share of the cells of at least one group express it.
    max_fraction, max_groups
        None: no such rule. The paper's is 0.75: a gene goes if at least ``max_fraction`` of the cells express it in at
        least ``max_groups`` of the groups, and in two at least (with two groups, half of them is the one whose marker
        it may be). It asks where a gene is detected, not how much of it: LYZ goes where two of four groups are
        monocytes, and panels of equal size tell groups apart less well (``benchmarks/quality.py``).
    families
        Gene families to remove: "mitochondrial", "ribosomal", "heat_shock", "hla" (MHC), "housekeeping".
    species
        "human", "mouse", or "auto": by the spelling of the gene names.
    exclude, keep
        Genes to remove, and genes that no rule removes; names or symbols.
    key
        Prefix of the slots.
    source
        ``layer``, ``use_raw``, ``normalize``, ``gene_symbols``, ``min_cells``, ``sample_key``, ``batch_key``,
        ``device``: see `smash_gpu.annotated.source.Source`. Later steps read the same source.

    Returns
    -------
    None. Fills ``.var["smash_candidate"]`` (bool) and ``.uns["smash"]["filters"]`` (a row a rule: rule, matched,
    removed, left).

    Raises
    ------
    KeyError, ValueError
        If the input cannot be used, or no gene is left; the message says what to do.
    """
    lists = {"families": families, "exclude": exclude, "keep": keep}
    numbers = {"min_fraction": min_fraction, "max_fraction": max_fraction, "max_groups": max_groups}
    options = Filters.of(numbers | lists | {"species": species})
    data = read(adata, {"groupby": groupby, **source})
    candidates, ledger = steps.filter_genes(data, options)
    slots.start(adata, key)
    slots.record(adata, key, "source", {"groupby": groupby, **source})
    slots.record(adata, key, "filters", asdict(options))
    slots.write_candidates(adata, candidates, ledger, key)


def inverse_pca(
    adata: AnnData,
    *,
    n_top: int = pca.N_TOP,
    variance: float = pca.VARIANCE,
    keep: Iterable[str] = (),
    key: str = slots.KEY,
) -> None:
    """Keep candidates with a large loading on a leading principal component (paper, Methods, "Inverse PCA").

    Equal to standardising every gene and a full PCA, but from the correlation matrix of the candidates (genes × genes),
    which is summed block by block; cells without a group do not take part.

    Parameters
    ----------
    adata
        After `filter_genes`.
    n_top
        Genes a component.
    variance
        Components count until their cumulative share of the variance first exceeds this.
    keep
        Genes that stay whatever their loadings; those kept in `filter_genes` stay anyway.

    Returns
    -------
    None. Narrows ``.var["smash_candidate"]`` and adds a row to ``.uns["smash"]["filters"]``.
    """
    data = read(adata, slots.source(adata, key))
    kept_before = slots.recorded(adata, key, "filters").get("keep", ())
    options = InversePCA(n_top, variance, (*kept_before, *names_of(keep, "keep")))
    candidates, ledger = steps.inverse_pca(data, slots.candidates(adata, key), options)
    ledger = pd.concat([slots.require(adata, "filters", key, "pp.filter_genes"), ledger], ignore_index=True)
    slots.record(adata, key, "inverse_pca", asdict(options))
    slots.write_candidates(adata, candidates, ledger, key)
