"""NS-Forest's metrics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import EARLIER, Earlier
from smash_gpu.data.dataset import Dataset
from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation.peers import nsforest
from smash_gpu.genes.lists import MISSING, Genes
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.runtime.words import did_you_mean
from smash_gpu.tl._choosers import numbers


def nsforest_metrics(
    adata: AnnData,
    groupby: str,
    *,
    markers: Mapping[str, Genes] | None = None,
    missing: str = MISSING,
    beta: float = nsforest.BETA,
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
    """NS-Forest's metrics for the markers of each class: F-beta, binary score, on-target fraction.

    Equal to its ``DecisionTree`` (all markers of a class together, ``combinations=False``) on log-normalised data. The
    thresholds are learned on the cells that they are judged on, as there.

    Parameters
    ----------
    adata
        Annotated cells × genes, after `tl.smash` unless ``markers`` is given.
    groupby
        Column of ``adata.obs`` with the cell types or states.
    markers
        Class → its markers, for some or all classes. None: those of the last `tl.smash`.
    missing
        "warn" or "raise", for genes that the data lack; as in `tl.evaluate`.
    beta
        Weight of recall against precision.
    layer, use_raw, normalize, gene_symbols, min_cells, sample_key, batch_key, device
        Where expression and cells come from, as in `pp.filter_genes`. Options left out are taken from the earlier step.
    memory
        Most memory of the whole process during this call, as in `pp.filter_genes`.
    key
        Prefix of the slots.

    Returns
    -------
    None. Fills ``.uns["smash"]["nsforest"]``, read by `get.nsforest_metrics`, ``["nsforest_markers"]`` (the genes that
    were judged), and the options in ``["params"]["nsforest"]``.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column, layer, class or gene is not in the data, or neither ``markers`` is given nor `tl.smash` has run.
    ValueError
        If ``markers`` is empty.

    References
    ----------
    NS-Forest, version 4.1; Aevermann et al., Genome Research 2021.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.nsforest_metrics(adata, "cell_type", markers={"A": ["MARKER0X", "MARKER0Y"]})
    >>> smg.get.nsforest_metrics(adata)["n_markers"].tolist()
    [2]
    """
    where = slots.source(
        adata, key, groupby=groupby, layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols,
        min_cells=min_cells, sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    with limit(memory):
        data = read(adata, where)
        found = _by_group(data, _markers_of(adata, key) if markers is None else markers, missing)
        union = np.unique(np.concatenate(list(found.values())))
        columns = {code: np.searchsorted(union, genes) for code, genes in found.items()}
        table = nsforest.scores(data.host_expression(union), data.labels, data.groups, columns, beta=beta)
    tables = {"nsforest": table, "nsforest_markers": _by_row(data, found)}
    slots.write_tables(adata, "nsforest", tables, where | {"beta": beta, "missing": missing}, key=key)
    say(f"NS-Forest: mean F-beta {table['f_beta'].mean():.3f} over {len(table)} classes: get.nsforest_metrics.")


def _by_group(data: Dataset, markers: Mapping[str, Genes], missing: str) -> dict[int, np.ndarray]:
    codes = {str(group): code for code, group in enumerate(data.groups)}
    absent = [name for name in markers if str(name) not in codes]
    if absent:
        raise NotFoundError(
            f"markers: no class {absent[0]!r}." + did_you_mean(absent[0], codes) + f" Classes: {', '.join(codes)}."
        )
    if not markers:
        raise ValueError("markers: the mapping is empty.")
    return {
        codes[str(name)]: numbers(genes, data, f"markers[{name!r}]", missing=missing) for name, genes in markers.items()
    }


def _by_row(data: Dataset, found: Mapping[int, np.ndarray]) -> pd.DataFrame:
    """One row per marker: ``group``, ``name``."""
    rows = [(str(data.groups[code]), str(data.names[gene])) for code, genes in found.items() for gene in genes]
    return pd.DataFrame(rows, columns=["group", "name"])


def _markers_of(adata: AnnData, key: str) -> dict[str, list[str]]:
    table = slots.require(adata, "markers", key, "tl.smash (or pass markers=)")
    return {str(group): rows["name"].tolist() for group, rows in table.groupby("group", observed=True, sort=False)}
