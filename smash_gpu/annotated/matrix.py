"""The matrix that a step reads, where else the data have values, and which file or sample each cell comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from smash_gpu.annotated.features import columns_of_genes
from smash_gpu.compute.xp import to_host
from smash_gpu.data.checks import LOG_CEILING, Parts
from smash_gpu.errors import NotFoundError
from smash_gpu.io import concat, matrices
from smash_gpu.io.lazy import matrix_of
from smash_gpu.io.open import open_file
from smash_gpu.runtime.cluster import is_dask
from smash_gpu.runtime.words import did_you_mean, join_names

NO_COUNTS = (
    "adata holds no counts: X is empty, and there are no layers and no raw. Pass the annotated cells; the panel.h5ad "
    "of smash-gpu panel holds results alone."
)
NO_RAW = "use_raw=True, but adata.raw is empty; name a layer, or leave use_raw out to read adata.X."
VALUES_SEEN = 2**16  # of a matrix, to say what it seems to hold
MOST_PARTS = 1000
WHOLE, LOGARITHMS = "whole numbers", "fractions as logarithms have"


def matrix(adata: ad.AnnData, layer: str | None, *, use_raw: bool) -> Any:
    """``X``, a layer or ``raw.X`` with the genes of ``adata``; a matrix on disk stays there.

    Raises
    ------
    NotFoundError, ValueError
        If there is none, or ``raw`` has other genes.
    """
    if layer is not None and use_raw:
        raise ValueError("give layer= or use_raw=True, not both.")
    layers = _layers(adata)
    if layer is not None:
        if layer not in layers:
            near = did_you_mean(layer, layers)
            raise NotFoundError(f"adata.layers has no {layer!r}.{near} Layers: {join_names(layers)}.")
        return matrix_of(adata, layer)
    if not use_raw:
        found = matrix_of(adata)
        if found is None and not layers and adata.raw is None:
            raise ValueError(NO_COUNTS)
        if found is None:
            raise ValueError(f"adata.X is empty; pass layer= (layers: {join_names(layers)}) or use_raw=True.")
        return found
    if adata.raw is None:
        raise ValueError(NO_RAW)
    own, of_raw = adata.var_names, adata.raw.var_names
    if not has_same_genes(adata):
        raise ValueError(
            f"adata.raw holds {len(of_raw):,} genes and adata {len(own):,}, {int(own.isin(of_raw).sum()):,} of them in "
            "both; results are kept for the genes of adata. Pass adata.raw.to_adata() instead of adata, or instead of "
            "a path smash_gpu.read(path).raw.to_adata(), as --use-raw of the commands does."
        )
    found = matrix_of(adata, use_raw=True)
    return found if of_raw.equals(own) else columns_of_genes(found, of_raw.get_indexer(own))


def has_same_genes(adata: ad.AnnData) -> bool:
    """Whether ``raw`` has the genes of ``adata``, in any order."""
    own, of_raw = adata.var_names, adata.raw.var_names
    return of_raw.equals(own) or (len(own) == len(of_raw) and of_raw.is_unique and bool(own.isin(of_raw).all()))


def _layers(adata: ad.AnnData) -> list[str]:
    return [name for name in adata.layers if name is not None]  # since anndata 0.13 the layer None is X


def parts_of(adata: ad.AnnData, **by: pd.Categorical | None) -> Parts | None:
    """The file of each cell if there are several, else the sample or batch, whichever is given first; None if none is.

    Parameters
    ----------
    by
        Name of a kind of part to the part of each cell.
    """
    listed = adata.uns.get(concat.KEY)
    if listed is not None and concat.FILE in adata.obs:
        code = pd.Index(listed["file"]).get_indexer(pd.Index(adata.obs[concat.FILE]))
        if len(listed) > 1 and (code >= 0).all():
            names = [Path(path).name for path in listed["path"]]
            return Parts(code.astype(np.int32), tuple(names if len(set(names)) == len(names) else listed["path"]))
    for kind, values in by.items():
        if values is not None and len(values.categories) <= MOST_PARTS:
            return Parts(values.codes, tuple(f"{kind} {name}" for name in values.categories))
    return None


def elsewhere(adata: ad.AnnData, layer: str | None, *, use_raw: bool, logarithms: bool = False) -> str:
    """Where else there are counts, by a look at the first values, and how to read them; "" if nowhere.

    Parameters
    ----------
    logarithms
        If there are no counts, look for logarithms.
    """
    found = [(where, how, _kind(X)) for where, how, X in _others(adata, layer, use_raw=use_raw)]
    for wanted in (WHOLE, LOGARITHMS)[: 1 + logarithms]:
        for where, how, kind in found:
            if kind == wanted:
                return f"{where} holds {kind}: {how}{' and normalize=False' * (kind == LOGARITHMS)}."
    return ""


def _others(adata: ad.AnnData, layer: str | None, *, use_raw: bool) -> Iterator[tuple[str, str, Any]]:
    """The matrices that were not read: name, how to read it, and the matrix."""
    if not use_raw:
        yield from _raws(adata)
    for name in _layers(adata):
        if name != layer:
            yield f"the layer {name!r}", f"pass layer={name!r}", matrix_of(adata, name)
    if layer is not None or use_raw:
        yield "adata.X", f"leave out {'use_raw=True' if use_raw else 'layer='}", matrix_of(adata)


def _raws(adata: ad.AnnData) -> Iterator[tuple[str, str, Any]]:
    """``raw``, also that of the files that were joined without it."""
    if adata.raw is not None:
        same = has_same_genes(adata)
        genes = "" if same else f" of {adata.raw.n_vars:,} genes"
        how = "pass use_raw=True" if same else "pass adata.raw.to_adata() instead of adata"
        yield f"adata.raw{genes}", how, matrix_of(adata, use_raw=True)
    elif concat.KEY in adata.uns:
        opened = [open_file(path, lazily=True) for path in adata.uns[concat.KEY]["path"]]
        if all(file.raw is not None for file in opened):
            yield "raw of the files", "pass use_raw=True", matrix_of(opened[0], use_raw=True)


def _kind(X: Any) -> str:
    """What the first values seem to be."""
    if X is None:
        return ""
    values = _first_values(matrices.parts(X)[0])
    if not len(values) or not np.isfinite(values).all() or (values < 0).any():
        return ""
    if (values == np.rint(values)).all():
        return WHOLE
    return LOGARITHMS if values.max() <= LOG_CEILING else ""


def _first_values(X: Any) -> np.ndarray:
    stored = matrices.value_arrays(X)
    if stored:
        return np.asarray(stored[0][:VALUES_SEEN])
    rows = X[: max(1, VALUES_SEEN // max(X.shape[1], 1))]
    rows = to_host(rows.compute() if is_dask(rows) else rows)
    values = rows.data if sparse.issparse(rows) else np.ravel(rows)
    return values[values != 0]
