"""Other tools' metrics for gene lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Unpack

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import Source, takes_source
from smash_gpu.data.dataset import Dataset
from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation.peers import correlation, forest, neighbours, nsforest
from smash_gpu.runtime.words import did_you_mean
from smash_gpu.tl._choosers import numbers

SPAPROS = ("forest_clfs", "knn_overlap", "cluster_similarity", "marker_corr", "gene_corr")
Markers = Mapping[str, Iterable[str]]


@takes_source
def nsforest_metrics(
    adata: AnnData,
    groupby: str,
    *,
    markers: Markers | None = None,
    beta: float = nsforest.BETA,
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """NS-Forest's metrics (version 4.1) for the markers of each group: F-beta, binary score, on-target fraction.

    Equal to its ``DecisionTree`` (all markers of a group together, ``combinations=False``) on log-normalised data. The
    thresholds are learned on the cells that they are judged on, as there.

    Parameters
    ----------
    groupby
        Column of ``adata.obs`` with the cell types or states.
    markers
        Group → its markers, for some or all groups. None: those of the last `smash`.
    beta
        Weight of recall against precision.
    source
        As in `pp.filter_genes`; what an earlier step was told holds here too.

    Returns
    -------
    None. Fills ``.uns["smash"]["nsforest"]``; read it by `get.nsforest_metrics`.
    """
    data = read(adata, slots.source(adata, key, groupby=groupby, **source))
    found = _by_group(data, _markers_of(adata, key) if markers is None else markers)
    union = np.unique(np.concatenate(list(found.values())))
    columns = {code: np.searchsorted(union, genes) for code, genes in found.items()}
    table = nsforest.scores(data.host_expression(union), data.labels, data.groups, columns, beta=beta)
    slots.write_tables(adata, "nsforest", {"nsforest": table}, {"beta": beta}, key=key)


@takes_source
def spapros_metrics(
    adata: AnnData,
    groupby: str,
    *,
    genes: Iterable[str] | Mapping[str, Iterable[str]],
    markers: Markers | None = None,
    metrics: Iterable[str] | None = None,
    mask_var: str | None = None,
    random_state: int = 0,
    key: str = slots.KEY,
    **source: Unpack[Source],
) -> None:
    """Spapros' five metrics (version 0.1.6) for one or several panels, on log-normalised expression.

    Definitions and parameters are its own. Correlations are computed for the genes in question only, and neighbours
    searched once for all k, in place of dense matrices of all genes and loops over all pairs of cells. As in Spapros
    all cells take part in everything: for held-out numbers use `evaluate`.

    Parameters
    ----------
    groupby
        Column of ``adata.obs`` with the cell types, for "forest_clfs".
    genes
        One panel, or several by name. XGBoost breaks ties by position, so the order can move "forest_clfs" a little.
    markers
        Group → known markers, for "marker_corr".
    metrics
        Some of "forest_clfs", "knn_overlap", "cluster_similarity" (needs igraph), "marker_corr", "gene_corr". None:
        all, "marker_corr" only with ``markers``.
    mask_var
        Column of ``adata.var`` with the genes of the reference for "knn_overlap" and "cluster_similarity" (Spapros
        advises the 8,000 most variable ones). None: all genes.
    random_state
        Seed of "forest_clfs".
    source
        As in `pp.filter_genes`; what an earlier step was told holds here too.

    Returns
    -------
    None. Fills ``.uns["smash"]["spapros"]``; read it by `get.spapros_metrics`.
    """
    wanted = _wanted(metrics, has_markers=markers is not None)
    data = read(adata, slots.source(adata, key, groupby=groupby, **source))
    panels = genes if isinstance(genes, Mapping) else {"list": genes}
    panels = {str(name): numbers(panel, data, f"genes[{name!r}]") for name, panel in panels.items()}
    known = {str(name): numbers(m, data, f"markers[{name!r}]") for name, m in (markers or {}).items()}
    reference = _reference(adata, mask_var)
    values: dict[str, dict[str, float]] = {name: {} for name in panels}
    for metric, compute in (
        ("forest_clfs", lambda panel: _forest(data, panel, random_state)),
        ("gene_corr", lambda panel: correlation.gene_corr(correlation.correlation(data, panel)[0])),
        ("marker_corr", lambda panel: _marker_corr(data, panel, known)),
    ):
        for name, panel in panels.items():
            values[name] |= compute(panel) if metric in wanted else {}
    _shapes(data, panels, reference, wanted, values)
    rows = [(name, metric, value) for name, found in values.items() for metric, value in found.items()]
    table = pd.DataFrame(rows, columns=["genes", "metric", "value"])
    slots.write_tables(adata, "spapros", {"spapros": table}, {"random_state": random_state, "metrics": wanted}, key=key)


def _wanted(metrics: Iterable[str] | None, *, has_markers: bool) -> tuple[str, ...]:
    wanted = tuple(SPAPROS if metrics is None else metrics)
    if metrics is None and not has_markers:
        wanted = tuple(name for name in wanted if name != "marker_corr")
    for name in wanted:
        if name not in SPAPROS:
            raise ValueError(
                f"metrics: no {name!r}." + did_you_mean(name, SPAPROS) + f" There is {', '.join(SPAPROS)}."
            )
    if "marker_corr" in wanted and not has_markers:
        raise ValueError("marker_corr asks how well a panel stands in for known markers: pass markers=.")
    if "cluster_similarity" in wanted and find_spec("igraph") is None:
        raise ImportError("cluster_similarity needs igraph: pip install igraph, or name the other metrics in metrics=.")
    return wanted


def _reference(adata: AnnData, mask_var: str | None) -> np.ndarray:
    if mask_var is None:
        return np.arange(adata.n_vars)
    if mask_var not in adata.var:
        raise NotFoundError(f"adata.var has no column {mask_var!r}." + did_you_mean(mask_var, adata.var))
    return np.flatnonzero(adata.var[mask_var].to_numpy(dtype=bool))


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


def _by_group(data: Dataset, markers: Markers) -> dict[int, np.ndarray]:
    codes = {str(group): code for code, group in enumerate(data.groups)}
    absent = [name for name in markers if str(name) not in codes]
    if absent:
        raise NotFoundError(
            f"markers: no group {absent[0]!r}." + did_you_mean(absent[0], codes) + f" Groups: {', '.join(codes)}."
        )
    if not markers:
        raise ValueError("markers: no group has any.")
    return {codes[str(name)]: numbers(genes, data, f"markers[{name!r}]") for name, genes in markers.items()}


def _markers_of(adata: AnnData, key: str) -> dict[str, list[str]]:
    table = slots.require(adata, "markers", key, "tl.smash (or pass markers=)")
    return {str(group): rows["name"].tolist() for group, rows in table.groupby("group", observed=True, sort=False)}
