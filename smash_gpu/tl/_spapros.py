"""Spapros' metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from smash_gpu.annotated import slots
from smash_gpu.annotated.columns import mask_of
from smash_gpu.annotated.features import only_genes
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import EARLIER, Earlier
from smash_gpu.data.dataset import Dataset
from smash_gpu.evaluation.peers import correlation, forest, neighbours
from smash_gpu.genes.lists import MISSING, Genes
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.runtime.words import did_you_mean
from smash_gpu.tl._choosers import numbers

SPAPROS = ("forest_clfs", "knn_overlap", "cluster_similarity", "marker_corr", "gene_corr")


def spapros_metrics(
    adata: AnnData,
    groupby: str,
    *,
    genes: Genes | Mapping[str, Genes],
    markers: Mapping[str, Genes] | None = None,
    missing: str = MISSING,
    metrics: Iterable[str] | None = None,
    mask_var: str | None = None,
    random_state: int = 0,
    layer: str | None | Earlier = EARLIER,
    use_raw: bool | Earlier = EARLIER,
    normalize: bool | None | Earlier = EARLIER,
    gene_symbols: str | None | Earlier = EARLIER,
    min_cells: int | None | Earlier = EARLIER,
    sample_key: str | None | Earlier = EARLIER,
    batch_key: str | None | Earlier = EARLIER,
    device: str | Earlier = EARLIER,
    memory: int | str | None = None,
    key: str = slots.KEY,
) -> None:
    """Spapros' five metrics for one or several panels, on log-normalised expression.

    Definitions and parameters are its own. Correlations are computed for the genes in question only, and neighbours
    searched once for all k, in place of dense matrices of all genes and loops over all pairs of cells. As in Spapros
    all cells take part in everything: for held-out numbers use `tl.evaluate`.

    Parameters
    ----------
    adata
        Annotated cells × genes.
    groupby
        Column of ``adata.obs`` with the cell types, for "forest_clfs".
    genes
        One panel, or several by name. XGBoost breaks ties by position, so the order can move "forest_clfs" a little.
    markers
        Class → known markers, for "marker_corr".
    missing
        "warn" or "raise", for genes that the data lack; as in `tl.evaluate`.
    metrics
        Some of "forest_clfs", "knn_overlap", "cluster_similarity" (needs igraph), "marker_corr", "gene_corr". None:
        all, "marker_corr" only with ``markers``.
    mask_var
        Column of ``adata.var`` with the genes of the reference for "knn_overlap" and "cluster_similarity" (Spapros
        advises the 8,000 most variable ones). None: all genes.
    random_state
        Seed of "forest_clfs".
    layer, use_raw, normalize, gene_symbols, min_cells, sample_key, batch_key, device
        Where expression and cells come from, as in `pp.filter_genes`. Options left out are taken from the earlier step.
    memory
        Most memory of the whole process during this call, as in `pp.filter_genes`.
    key
        Prefix of the slots.

    Returns
    -------
    None. Fills ``.uns["smash"]["spapros"]``, read by `get.spapros_metrics`, ``["spapros_genes"]`` and
    ``["spapros_markers"]`` (the genes that were judged), and the options in ``["params"]["spapros"]``.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column, layer or gene is not in the data.
    ValueError
        If there is no such metric, or "marker_corr" is wanted without ``markers``.
    ImportError
        If "cluster_similarity" is wanted and igraph is not installed.

    References
    ----------
    Spapros, version 0.1.6; Kuemmerle et al., Nature Methods 2024.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> genes = ["MARKER0X", "MARKER1X", "MARKER2X"]
    >>> smg.tl.spapros_metrics(adata, "cell_type", genes=genes, metrics=["gene_corr"])
    >>> smg.get.spapros_metrics(adata).columns.tolist()
    ['gene_corr 1 - mean', 'gene_corr perct max < 0.8']
    """
    wanted = _wanted(metrics, has_markers=markers is not None)
    where = slots.source(
        adata, key, groupby=groupby, layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols,
        min_cells=min_cells, sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    with limit(memory):
        data = read(adata, where)
        panels = genes if isinstance(genes, Mapping) else {"list": genes}
        panels = {
            str(name): numbers(panel, data, f"genes[{name!r}]", missing=missing) for name, panel in panels.items()
        }
        known = {
            str(name): numbers(m, data, f"markers[{name!r}]", missing=missing) for name, m in (markers or {}).items()
        }
        reference = _reference(adata, mask_var)
        values = _by_panel(data, panels, known, wanted, random_state)
        _shapes(data, panels, reference, wanted, values)
    rows = [(name, metric, value) for name, found in values.items() for metric, value in found.items()]
    tables = {
        "spapros": pd.DataFrame(rows, columns=["genes", "metric", "value"]),
        "spapros_genes": _by_row(data, panels, "genes"), "spapros_markers": _by_row(data, known, "group"),
    }  # fmt: skip
    options = where | {"metrics": wanted, "mask_var": mask_var, "random_state": random_state, "missing": missing}
    slots.write_tables(adata, "spapros", tables, options, key=key)
    say(f"Spapros: {', '.join(wanted)} of {', '.join(panels)}: get.spapros_metrics.")


def _by_row(data: Dataset, lists: Mapping[str, np.ndarray], column: str) -> pd.DataFrame:
    """One row per gene: the name of its list in ``column``, ``name``."""
    rows = [(name, str(data.names[gene])) for name, genes in lists.items() for gene in genes]
    return pd.DataFrame(rows, columns=[column, "name"])


def _numbered(data: Dataset, lists: Mapping[str, Genes], what: str, missing: str) -> dict[str, np.ndarray]:
    return {str(name): numbers(genes, data, f"{what}[{name!r}]", missing=missing) for name, genes in lists.items()}


def _by_panel(
    data: Dataset,
    panels: Mapping[str, np.ndarray],
    known: Mapping[str, np.ndarray],
    wanted: tuple[str, ...],
    random_state: int,
) -> dict[str, dict[str, float]]:
    """The metrics that look at one panel at a time; name of the panel → metrics."""
    values: dict[str, dict[str, float]] = {name: {} for name in panels}
    for metric, compute in (
        ("forest_clfs", lambda panel: _forest(data, panel, random_state)),
        ("gene_corr", lambda panel: correlation.gene_corr(correlation.correlation(data, panel)[0])),
        ("marker_corr", lambda panel: _marker_corr(data, panel, known)),
    ):
        for name, panel in panels.items():
            values[name] |= compute(panel) if metric in wanted else {}
    return values


def _wanted(metrics: Iterable[str] | None, *, has_markers: bool) -> tuple[str, ...]:
    wanted = tuple(SPAPROS if metrics is None else metrics)
    if metrics is None and not has_markers:
        wanted = tuple(name for name in wanted if name != "marker_corr")
    for name in wanted:
        if name not in SPAPROS:
            raise ValueError(f"no metric {name!r}." + did_you_mean(name, SPAPROS) + f" Metrics: {', '.join(SPAPROS)}.")
    if "marker_corr" in wanted and not has_markers:
        raise ValueError("marker_corr compares a panel with known markers; pass markers=.")
    if "cluster_similarity" in wanted and find_spec("igraph") is None:
        raise ImportError("cluster_similarity needs igraph; pip install igraph, or list the other metrics in metrics=.")
    return wanted


def _reference(adata: AnnData, mask_var: str | None) -> np.ndarray:
    table = only_genes(adata, adata.var)
    if mask_var is None:
        return np.arange(len(table))
    return np.flatnonzero(mask_of(table, mask_var, "mask_var"))


def _forest(data: Dataset, panel: np.ndarray, random_state: int) -> dict[str, float]:
    X = sparse.csr_matrix(data.host_expression(panel))
    return forest.forest_clfs(X, data.labels, device=data.device, random_state=random_state)[0]


def _marker_corr(data: Dataset, panel: np.ndarray, markers: Mapping[str, np.ndarray]) -> dict[str, float]:
    union = np.unique(np.concatenate([panel, *markers.values()]))
    found, mean = correlation.correlation(data, union)
    rows = np.unique(np.concatenate(list(markers.values())))
    at = np.searchsorted(union, rows)
    places = {name: np.searchsorted(rows, genes) for name, genes in markers.items()}
    return correlation.marker_corr(found[np.ix_(at, np.searchsorted(union, panel))], mean[at], places)


def _shapes(
    data: Dataset,
    panels: Mapping[str, np.ndarray],
    reference: np.ndarray,
    wanted: tuple[str, ...],
    values: dict[str, dict[str, float]],
) -> None:
    """Add the metrics that compare neighbours and clusters with those of the reference, which are found once."""
    if not {"knn_overlap", "cluster_similarity"} & set(wanted):
        return
    whole = neighbours.space(neighbours.sparse_expression(data, reference))
    clusters = neighbours.leiden_clusterings(whole) if "cluster_similarity" in wanted else {}
    for name, panel in panels.items():
        points = neighbours.space(data.host_expression(panel))
        if "knn_overlap" in wanted:
            values[name] |= neighbours.knn_overlap(points, whole, device=data.device)[0]
        if clusters:
            found = neighbours.cluster_similarity(neighbours.leiden_clusterings(points), clusters)
            values[name] |= found[0]
