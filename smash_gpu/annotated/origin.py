"""What results were made from: the cells, genes and labels of that time; and what has changed since."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated.columns import column


class _Order(NamedTuple):
    digest: str
    order: np.ndarray


_by_id: dict[int, _Order] = {}


def of(adata: AnnData, columns: Iterable[str]) -> dict[str, Any]:
    """The names of cells and genes as hashes, and the labels of every cell, in types that h5ad and zarr can hold.

    The labels are in the order of the hashes of the cell names, so that it does not matter how cells are ordered.

    Parameters
    ----------
    columns
        Columns of ``adata.obs`` with classes, samples, batches; each once.
    """
    cells, columns = _by_name(adata.obs_names), list(dict.fromkeys(columns))
    labels = [_labels(column(adata.obs, name, "obs")) for name in columns]
    return {
        "n_cells": adata.n_obs,
        "cells": cells.digest,
        "rows": _rows(labels),
        "n_genes": adata.n_vars,
        "genes": _by_name(adata.var_names).digest,
        "columns": np.array(columns, dtype=object),
        "labels": {str(number): one[cells.order] for number, one in enumerate(labels)},
    }


def changes(adata: AnnData, made_from: Mapping[str, Any], *, named: Collection[str] | None = None) -> str:
    """What has changed since, in words; empty if nothing has.

    The order of cells, genes and categories and the types of columns do not matter, nor new names of the same cells.

    Parameters
    ----------
    named
        The genes that the result names: while they are there, others may be gone. None: none may.
    """
    return "; ".join([*_of_cells(adata, made_from), *_of_genes(adata, made_from, named)])


def _of_cells(adata: AnnData, made_from: Mapping[str, Any]) -> Iterator[str]:
    columns = [str(name) for name in made_from["columns"]]
    gone = [name for name in columns if name not in adata.obs]
    yield from (f"the column {name!r} is gone" for name in gone)
    before, now = int(made_from["n_cells"]), adata.n_obs
    if before != now:
        yield _more_or_fewer(before, now, "cell")
        return
    labels = {name: _labels(column(adata.obs, name, "obs")) for name in columns if name not in gone}
    if not gone and _rows(list(labels.values())) == made_from["rows"]:
        return
    cells = _by_name(adata.obs_names)
    if cells.digest != made_from["cells"]:
        yield "the cells are not the same"
        return
    if "labels" not in made_from:
        yield f"labels in {', '.join(map(repr, labels))} changed"
        return
    for number, name in enumerate(columns):
        if name in labels:
            n = _differing(labels[name][cells.order], made_from["labels"][str(number)])
            if n:
                yield f"the labels of {_counted(n, 'cell')} in {name!r} changed"


def _of_genes(adata: AnnData, made_from: Mapping[str, Any], named: Collection[str] | None) -> Iterator[str]:
    before, now = int(made_from["n_genes"]), adata.n_vars
    if named is not None and now < before and set(named) <= set(adata.var_names.astype(str)):
        return
    if before != now:
        yield _more_or_fewer(before, now, "gene")
    elif _by_name(adata.var_names).digest != made_from["genes"]:
        yield "the names of the genes changed"


def _more_or_fewer(before: int, now: int, what: str) -> str:
    if now > before:
        return f"{_counted(now - before, what)} {'was' if now - before == 1 else 'were'} added"
    return f"{before - now:,} of {_counted(before, what)} {'is' if before - now == 1 else 'are'} gone"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _labels(column: pd.Series) -> pd.Categorical:
    """Every label as a string, sorted categories that all occur, whatever the type of the column."""
    labels = column.astype("category").cat.remove_unused_categories()
    names, number = np.unique(labels.cat.categories.astype(str).to_numpy(dtype=object), return_inverse=True)
    codes = np.append(number, -1)[labels.cat.codes]  # the last for a missing value
    return pd.Categorical.from_codes(codes, names)


def _differing(now: pd.Categorical, before: pd.Categorical) -> int:
    names, place = np.unique([*now.categories, *map(str, before.categories)], return_inverse=True)
    place = np.append(place, -1)  # the last for a missing value
    shifted = np.where(before.codes >= 0, before.codes.astype(np.int64) + len(now.categories), len(place) - 1)
    return int((place[now.codes] != place[shifted]).sum()) if len(names) else 0


def _rows(labels: list[pd.Categorical]) -> str:
    """A hash of the labels in the order of the cells."""
    whole = sha256()
    for one in labels:
        whole.update(f"{[*one.categories]};".encode(errors="surrogatepass"))
        whole.update(np.ascontiguousarray(one.codes, dtype="<i8").tobytes())
    return whole.hexdigest()


def _by_name(index: pd.Index) -> _Order:
    """A hash of the names in any order, and an order of their numbers that depends on the names only; remembered."""
    found = _by_id.get(id(index))
    if found is None:
        hashes = pd.util.hash_array(index.astype(str).to_numpy(dtype=object), categorize=False)
        order = np.argsort(hashes, kind="stable")
        found = _Order(sha256(hashes[order].astype("<u8").tobytes()).hexdigest(), order)
        _by_id[id(index)] = found
        finalize(index, _by_id.pop, id(index), None)
    return found
