"""From AnnData to a `Dataset`; every error about the input is raised here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from smash_gpu.annotated import features
from smash_gpu.annotated.columns import column as _column
from smash_gpu.annotated.remembered import known_about
from smash_gpu.annotated.slots import require_annotated
from smash_gpu.annotated.source import Source
from smash_gpu.blocks.readers import by_rows
from smash_gpu.compute.device import resolve_device
from smash_gpu.data.dataset import LEFT_OUT, Dataset
from smash_gpu.data.fingerprint import sampled
from smash_gpu.data.stages import Work
from smash_gpu.errors import NotFoundError, warn
from smash_gpu.io import integrity, matrices
from smash_gpu.io.lazy import OnDisk, matrix_of
from smash_gpu.runtime.words import did_you_mean, join_names

TARGET_SUM = 1e4
CELLS_FOR_A_SPLIT = 2
NO_RAW = "use_raw=True, but adata.raw is empty; name a layer, or leave use_raw out to read adata.X."


def read(adata: ad.AnnData, source: Mapping[str, Any], work: Work | str | Path | None = None) -> Dataset:
    """The data that a step works on. Nothing is read; the values are checked in the first pass over them.

    Parameters
    ----------
    source
        ``groupby``, the column with the groups, and options of `Source`; those left out have its defaults.
    work
        Folder for finished stages, or a `Work`.

    Raises
    ------
    NotFoundError
        If there is no such column or layer; the message names near matches.
    ValueError, TypeError
        If labels or gene names cannot be used, with the way out, an option that names one column or layer is a list,
        or a zarr store lacks chunks.
    """
    require_annotated(adata)
    if "groupby" not in source:
        raise ValueError("no groups are known yet; run pp.filter_genes(adata, groupby) or tl.smash first.")
    require_one_name(source)
    source = vars(Source()) | dict(source)
    device = resolve_device(source["device"])
    group, groups = groups_of(adata, source["groupby"], source["min_cells"])
    _require_unique(adata)
    genes = features.gene_names(adata, source["gene_symbols"])
    sample, batch = (_annotation(adata, source[k], group >= 0, k) for k in ("sample_key", "batch_key"))
    features.note_others(adata)
    whole = _matrix(adata, source["layer"], use_raw=source["use_raw"])
    integrity.require_whole(whole)
    stored = features.columns_of_genes(whole, features.gene_rows(adata))
    work = Work.of(work).on(stored, lambda: sampled(stored, genes.names))
    matrix = by_rows(stored, work.folder)
    target_sum = TARGET_SUM if source["normalize"] else None
    known = known_about(adata, stored, are_counts=source["normalize"]).bind(matrix)
    names, symbols, ids = genes.names, genes.symbols, genes.ids
    data = Dataset(matrix, group, groups, names, symbols, target_sum, device, sample, batch, work, known, ids)
    known.wanted = data.name_of_sums(data.group, data.n_groups)
    return data


def require_one_name(options: Mapping[str, Any]) -> None:
    """Raise a TypeError for a list where one column or layer is needed."""
    for what, name in options.items():
        if isinstance(name, Iterable) and not isinstance(name, str):
            way_out = {
                "groupby": "tl.panel takes several columns, and tl.smash(within=) a column of broad groups",
            }.get(what, "to combine columns, make a new one")
            raise TypeError(f"{what}={name!r} is a list, but one name is needed; {way_out}.")


def raw_of(adata: ad.AnnData) -> ad.AnnData:
    """``adata.raw`` with the annotation of the cells; what is on disk stays there.

    Raises
    ------
    ValueError
        If it is empty.
    """
    if adata.raw is None:
        raise ValueError(NO_RAW)
    if isinstance(adata, OnDisk) or not matrices.arrays(adata.raw.X):
        return adata.raw.to_adata()
    return ad.AnnData(adata.raw.X, obs=adata.obs.copy(), var=adata.raw.var.copy(), uns=dict(adata.uns))


def broad_groups(adata: ad.AnnData, column: str) -> pd.Categorical:
    """The broad group of every cell, "" where it has none.

    Raises
    ------
    NotFoundError
        If there is no such column.
    """
    return _categories(_column(adata.obs, column, "obs"), missing="")


def groups_of(adata: ad.AnnData, groupby: str, min_cells: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Group code of every cell, −1 for none, and the names of the groups.

    Raises
    ------
    NotFoundError, ValueError
        If there is no such column, or it holds groups that are too small, or fewer than two.
    """
    column = _column(adata.obs, groupby, "obs")
    labels = column.astype("category").cat.remove_unused_categories()
    codes = labels.cat.codes.to_numpy().astype(np.int64)
    groups = labels.cat.categories.astype(str).to_numpy(dtype=object)
    if len(set(groups)) < len(groups):
        alike = sorted({g for g in groups if list(groups).count(g) > 1})
        raise ValueError(
            f"column {groupby!r} mixes numbers and text that become the same label: {', '.join(map(repr, alike))}."
        )
    missing = int((codes < 0).sum())
    if missing:
        warn(f"{missing:,} of {len(codes):,} cells have no label in {groupby!r} and are left out.")
    sizes = np.bincount(codes[codes >= 0], minlength=len(groups))
    fewest = max(min_cells or 0, CELLS_FOR_A_SPLIT)
    small = np.flatnonzero(sizes < fewest)
    listed = join_names(f"{groups[c]} ({sizes[c]})" for c in small)
    if small.size and min_cells is None:
        raise ValueError(
            f"groups of {groupby!r} with fewer than {CELLS_FOR_A_SPLIT} cells cannot be split into training and "
            f"held-out cells: {listed}. Pass min_cells={CELLS_FOR_A_SPLIT} to leave them out, or merge them."
        )
    if small.size:
        warn(f"groups with fewer than {fewest} cells are left out: {listed}.")
    kept = np.setdiff1d(np.arange(len(groups)), small)
    if len(kept) < 2:
        raise ValueError(
            f"adata.obs[{groupby!r}] has {len(kept)} group(s) with enough cells; at least two groups are needed. "
            f"Its groups: {join_names(f'{g} ({n})' for g, n in zip(groups, sizes, strict=True))}."
        )
    renumbered = np.full(len(groups) + 1, LEFT_OUT)
    renumbered[kept] = np.arange(len(kept))
    return renumbered[codes], groups[kept]


def _annotation(adata: ad.AnnData, column: str | None, used: np.ndarray, what: str) -> pd.Categorical | None:
    if column is None:
        return None
    values = _column(adata.obs, column, "obs")
    missing = int((values.isna() & used).sum())
    if missing:
        raise ValueError(f"{missing:,} cells have no value in {what}={column!r}; fill them in first.")
    labels = _categories(values, missing="nan")
    present = labels[used].unique()
    if len(present) < 2:
        raise ValueError(
            f"{what}={column!r} has one value only ({present[0]}), so there is nothing to compare. Leave {what} out."
        )
    return labels


def _categories(values: pd.Series, missing: str) -> pd.Categorical:
    """Every value as a string, held once; those that occur are the categories, in order."""
    labels = values.astype("category").cat.remove_unused_categories()
    names, number = np.unique([*labels.cat.categories.astype(str), missing], return_inverse=True)
    codes = number.astype(np.int32)[labels.cat.codes]  # −1, a missing value, is the last
    return pd.Categorical.from_codes(codes, names.astype(object)).remove_unused_categories()


def _require_unique(adata: ad.AnnData) -> None:
    if not adata.var_names.is_unique:
        twice = adata.var_names[adata.var_names.duplicated()].unique()
        raise ValueError(
            f"{len(twice)} gene name(s) occur more than once ({join_names(twice)}); call "
            "adata.var_names_make_unique() first."
        )


def _matrix(adata: ad.AnnData, layer: str | None, *, use_raw: bool) -> Any:
    if layer is not None and use_raw:
        raise ValueError("give layer= or use_raw=True, not both.")
    layers = [name for name in adata.layers if name is not None]  # since anndata 0.13 the layer None is X
    if layer is not None:
        if layer not in layers:
            near = did_you_mean(layer, layers)
            raise NotFoundError(f"adata.layers has no {layer!r}.{near} Layers: {join_names(layers)}.")
        return matrix_of(adata, layer)
    if not use_raw:
        matrix = matrix_of(adata)
        if matrix is None:
            raise ValueError(f"adata.X is empty; pass layer= (layers: {join_names(layers)}) or use_raw=True.")
        return matrix
    if adata.raw is None:
        raise ValueError(NO_RAW)
    if not adata.raw.var_names.equals(adata.var_names):
        raise ValueError(
            f"adata.raw holds {adata.raw.n_vars:,} genes and adata {adata.n_vars:,}; results are kept for the genes of "
            "adata. Pass adata.raw.to_adata() instead of adata, or instead of a path "
            "smash_gpu.read(path).raw.to_adata(), as --use-raw of the commands does."
        )
    return matrix_of(adata, use_raw=True)
