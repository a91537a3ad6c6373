"""From AnnData to a `Dataset`; every error about the input is raised here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from weakref import ref

import anndata as ad
import numpy as np
import pandas as pd

from smash_gpu.annotated import features
from smash_gpu.annotated.columns import column
from smash_gpu.annotated.labels import labels, warn_of_text_for_missing
from smash_gpu.annotated.matrix import NO_RAW, elsewhere, matrix, parts_of
from smash_gpu.annotated.remembered import known_about
from smash_gpu.annotated.source import Source, require_annotated
from smash_gpu.blocks.readers import by_rows
from smash_gpu.compute.device import resolve_device
from smash_gpu.data.dataset import LEFT_OUT, Dataset
from smash_gpu.data.fingerprint import sampled
from smash_gpu.data.stages import Work
from smash_gpu.errors import NotFoundError, warn
from smash_gpu.io import integrity, matrices
from smash_gpu.io.lazy import OnDisk
from smash_gpu.runtime.words import did_you_mean, join_names

TARGET_SUM = 1e4
CELLS_FOR_A_SPLIT = 2


def read(
    adata: ad.AnnData,
    source: Mapping[str, Any],
    work: Work | str | Path | None = None,
    *,
    ignored: Collection[str] | None = None,
) -> Dataset:
    """The data that a step works on. Nothing is read; the values are checked in the first pass over them.

    Parameters
    ----------
    source
        ``groupby``, the column with the groups, and options of `Source`; those left out have its defaults.
    work
        Folder for finished stages, or a `Work`.
    ignored
        As in `labels.labels`.

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
        raise ValueError("no classes are known yet; run pp.filter_genes(adata, groupby) or tl.smash first.")
    require_one_name(source)
    source = vars(Source()) | dict(source)
    group, groups = groups_of(adata, source["groupby"], source["min_cells"], ignored=ignored)
    return _dataset(adata, source, work, group, groups)


def read_all(adata: ad.AnnData, source: Mapping[str, Any], work: Work | str | Path | None = None) -> Dataset:
    """As `read`, but all cells, as one group: for cells whose labels do not matter.

    Raises
    ------
    NotFoundError, ValueError, TypeError
        As `read`.
    """
    require_annotated(adata)
    require_one_name(source)
    source = vars(Source()) | dict(source)
    return _dataset(adata, source, work, np.zeros(adata.n_obs, dtype=np.int64), np.array(["all"], dtype=object))


def _dataset(
    adata: ad.AnnData,
    source: Mapping[str, Any],
    work: Work | str | Path | None,
    group: np.ndarray,
    groups: np.ndarray,
) -> Dataset:
    device = resolve_device(source["device"])
    if not isinstance(adata.var, pd.DataFrame):  # of anndata.experimental.read_lazy: results are kept there
        adata.var = adata.var.to_memory()
    _require_unique(adata)
    genes = features.gene_names(adata, source["gene_symbols"])
    sample, batch = (_annotation(adata, source[k], group >= 0, k) for k in ("sample_key", "batch_key"))
    features.note_others(adata)
    layer, use_raw, normalize = source["layer"], source["use_raw"], source["normalize"]
    whole = matrix(adata, layer, use_raw=use_raw)
    integrity.require_whole(whole)
    stored = features.columns_of_genes(whole, features.gene_rows(adata))
    work = Work.of(work).on(stored, lambda: sampled(stored, genes.names))
    X = by_rows(stored, work.folder)
    target_sum = None if normalize is False else TARGET_SUM
    known = known_about(adata, stored, normalize=normalize).bind(X)
    known.elsewhere = _elsewhere(adata, layer=layer, use_raw=use_raw)
    if not known.is_checked:
        known.parts = parts_of(adata, sample=sample, batch=batch)
    names, symbols, ids = genes.names, genes.symbols, genes.ids
    data = Dataset(X, group, groups, names, symbols, target_sum, device, sample, batch, work, known, ids, genes.aliases)
    known.wanted = data.name_of_sums(data.group, data.n_groups)
    return data


def require_one_name(options: Mapping[str, Any]) -> None:
    """Raise a TypeError for a list where one column or layer is needed."""
    for what, name in options.items():
        if isinstance(name, Iterable) and not isinstance(name, str):
            way_out = {
                "groupby": "tl.panel takes several columns, and tl.smash(within=) a column of broad classes",
            }.get(what, "to combine columns, make a new one")
            raise TypeError(f"{what}={name!r} is a list, but one name is needed; {way_out}.")


def _elsewhere(adata: ad.AnnData, **read: Any) -> Callable[..., str]:
    """`elsewhere` without keeping ``adata`` alive."""
    held = ref(adata)
    return lambda **how: "" if (still := held()) is None else elsewhere(still, **read, **how)


def raw_of(adata: ad.AnnData, columns: Iterable[str | None] = ()) -> ad.AnnData:
    """``adata.raw`` with the annotation of the cells; what is on disk stays there.

    Parameters
    ----------
    columns
        Columns of ``var`` that are needed: where ``raw.var`` lacks one, that of ``adata.var`` is taken by gene name.

    Raises
    ------
    ValueError
        If it is empty.
    NotFoundError
        If a column is in neither, or ``adata`` lacks some of the genes.
    """
    if adata.raw is None:
        raise ValueError(NO_RAW)
    if isinstance(adata, OnDisk) or not matrices.arrays(adata.raw.X):
        raw = adata.raw.to_adata()
    else:
        raw = ad.AnnData(adata.raw.X, obs=adata.obs.copy(), var=adata.raw.var.copy(), uns=dict(adata.uns))
    for name in columns:
        if name is not None and name not in raw.var:
            raw.var[name] = _of_genes(adata, name, raw.var_names)
    return raw


def _of_genes(adata: ad.AnnData, name: str, genes: pd.Index) -> np.ndarray:
    """A column of ``adata.var`` for the genes of ``raw``."""
    lacking = "" if name in adata.var else "nor has adata.var"
    n_absent = int((~genes.isin(adata.var_names)).sum())
    if not lacking and n_absent:
        lacking = f"and adata.var, which has it, lacks {n_absent:,} of the {len(genes):,} genes of adata.raw"
    if lacking:
        near = did_you_mean(name, adata.raw.var)
        raise NotFoundError(
            f"adata.raw.var has no column {name!r}, {lacking}.{near} Columns: {join_names(adata.raw.var)}."
        )
    return adata.var[name].reindex(genes).to_numpy()


def broad_groups(adata: ad.AnnData, column: str) -> pd.Categorical:
    """The broad group of every cell, "" where it has none.

    Raises
    ------
    NotFoundError
        If there is no such column.
    """
    return _categories(labels(adata, column), missing="")


def groups_of(
    adata: ad.AnnData, groupby: str, min_cells: int | None = None, *, ignored: Collection[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Group code of every cell, −1 for none, and the names of the groups; for ``ignored`` see `labels.labels`.

    Raises
    ------
    NotFoundError, ValueError
        If there is no such column, or it holds groups that are too small, or fewer than two.
    """
    found = labels(adata, groupby, ignored=ignored)
    codes = found.cat.codes.to_numpy().astype(np.int64)
    groups = found.cat.categories.astype(str).to_numpy(dtype=object)
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
            f"classes of {groupby!r} with fewer than {CELLS_FOR_A_SPLIT} cells cannot be split into training and "
            f"held-out cells: {listed}. Pass min_cells={CELLS_FOR_A_SPLIT} to leave them out, or merge them."
        )
    if small.size:
        warn(f"classes with fewer than {fewest} cells are left out: {listed}.")
    kept = np.setdiff1d(np.arange(len(groups)), small)
    if len(kept) < 2:
        raise ValueError(
            f"adata.obs[{groupby!r}] has too few classes with enough cells: {len(kept)}, and two classes are needed. "
            f"Its classes: {join_names(f'{g} ({n})' for g, n in zip(groups, sizes, strict=True))}."
        )
    renumbered = np.full(len(groups) + 1, LEFT_OUT)
    renumbered[kept] = np.arange(len(kept))
    return renumbered[codes], groups[kept]


def _annotation(adata: ad.AnnData, name: str | None, used: np.ndarray, what: str) -> pd.Categorical | None:
    if name is None:
        return None
    values = column(adata.obs, name, "obs")
    missing = int((values.isna() & used).sum())
    if missing:
        raise ValueError(f"{missing:,} cells have no value in {what}={name!r}; fill them in first.")
    found = _categories(values, missing="nan")
    present = found[used].unique()
    if len(present) < 2:
        raise ValueError(
            f"{what}={name!r} has one value only ({present[0]}), so there is nothing to compare. Leave {what} out."
        )
    warn_of_text_for_missing(found[used].remove_unused_categories(), name, what)
    return found


def _categories(values: pd.Series, missing: str) -> pd.Categorical:
    """Every value as a string, held once; those that occur are the categories, in order."""
    own = values.astype("category").cat.remove_unused_categories()
    names, number = np.unique([*own.cat.categories.astype(str), missing], return_inverse=True)
    codes = number.astype(np.int32)[own.cat.codes]  # −1, a missing value, is the last
    return pd.Categorical.from_codes(codes, names.astype(object)).remove_unused_categories()


def _require_unique(adata: ad.AnnData) -> None:
    if not adata.var_names.is_unique:
        twice = adata.var_names[adata.var_names.duplicated()].unique()
        raise ValueError(
            f"gene names occur more than once ({join_names(twice)}); call adata.var_names_make_unique() first."
        )
