"""Several files as one data set: cells concatenated, genes joined by name, and what did not match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from glob import has_magic
from os.path import commonpath
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from smash_gpu.errors import NotFoundError, warn
from smash_gpu.genes import kinds
from smash_gpu.io.lazy import OnDisk, matrix_of, name_of
from smash_gpu.io.mismatch import FEWEST_IN_COMMON, alike, differences, foreign
from smash_gpu.io.open import is_large, local_path, open_file
from smash_gpu.io.stack import Stack
from smash_gpu.runtime.words import did_you_mean

FILE = "file"
KEY = "smash_files"
Paths = str | Path | Iterable[str | Path]


def open_cells(paths: Paths, source: Mapping[str, Any], *, lazily: bool | None = None) -> ad.AnnData:
    """One or several h5ad files and zarr stores as annotated cells; in memory unless `open.is_large`.

    Several files are one data set: cells are concatenated, and genes are joined by name (those in all files, in the
    order of the first). Counts are then scaled by the sum of the **common** genes; other genes of a file are ignored.
    ``var`` has the columns of the first file, and ``feature_types`` of another if the first has none; ``obs`` has those
    of all files, and ``obs["file"]`` is the file of each cell, unless the files have such a column. If cells of two
    files share a name, file names are appended to all cell names. ``uns["smash_files"]`` lists the files and how many
    of their genes are left out; ``uns`` and ``varm`` of the files are not read.

    Parameters
    ----------
    paths
        A path, a pattern such as "run*/counts.h5ad", or a list of those.
    source
        What each of several files must have: ``groupby`` (one or more columns of ``obs`` with labels), and the options
        ``layer``, ``use_raw``, ``sample_key`` and ``batch_key`` of `smash_gpu.annotated.source.Source`. With
        ``use_raw`` the genes are those of ``raw``, and ``X`` and layers are left out.
    lazily
        As in `open.open_file`.

    Raises
    ------
    FileNotFoundError, ValueError, KeyError
        If a file is missing or unreadable, lacks a layer, ``raw`` or a column, has duplicate genes, or shares no genes
        with the other files; the message names the file.
    """
    found = expand(paths)
    layer, use_raw = source.get("layer"), source.get("use_raw", False)
    used = name_of(layer, use_raw=use_raw)
    if len(found) == 1:
        return open_file(found[0], lazily=lazily, used=used)
    large = is_large(path for path in found if path.exists()) if lazily is None else lazily
    opened = (open_file(path, lazily=large, used=used) for path in found)
    parts = dict(zip(names_of(found), opened, strict=True))
    labels = [column for column in np.atleast_1d(np.array(source.get("groupby"), dtype=object)) if column is not None]
    others = [column for key in ("sample_key", "batch_key") if (column := source.get(key)) not in (None, FILE)]
    for name, part in parts.items():
        for column in [*labels, *others]:
            _has_column(name, part, column)
        _has_matrix(name, part, layer, use_raw=use_raw)
    for column in labels:
        _warn_of_alike(column, parts)
    whole = _stacked(parts, [str(path) for path in found], use_raw=use_raw)
    return whole if large else whole.to_memory()


def expand(paths: Paths) -> list[Path]:
    """The paths meant by a path, a pattern, or several of those (a list, an array, a generator).

    Raises
    ------
    TypeError
        If an item is neither a path nor a pattern.
    FileNotFoundError, ValueError
        If no file matches a pattern, or a file is given twice.
    """
    asked: list[object] = [paths]
    within = ""
    if isinstance(paths, Iterable) and not isinstance(paths, str | Path | Mapping):
        asked, within = list(paths), f" in {type(paths).__name__}"
    for one in asked:
        if not isinstance(one, str | Path):
            raise TypeError(
                f"expected AnnData, a path, a pattern, or several paths or patterns, not {type(one).__name__}{within}."
            )
    found: list[Path] = []
    for one in (str(local_path(str(one))) for one in asked):
        if Path(one).exists() or not has_magic(one):
            found.append(Path(one))
            continue
        anchor = Path(one).anchor
        fitting = sorted(Path(anchor or ".").glob(one.removeprefix(anchor)))
        if not fitting:
            raise FileNotFoundError(f"no file matches {one!r} (in {Path.cwd()}); check the pattern.")
        found += fitting
    if not found:
        raise ValueError("no file to read: the list is empty.")
    resolved = [path.resolve() for path in found]
    twice = [str(path) for path, place in zip(found, resolved, strict=True) if resolved.count(place) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice; remove one, or its cells are counted twice.")
    return found


def names_of(paths: Sequence[Path]) -> list[str]:
    """A short name for each file: its stem, or as much of its path as is needed to be unique."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    top = commonpath([path.absolute().parent for path in paths])
    names = [str(path.absolute().relative_to(top).with_suffix("")) for path in paths]
    return names if len(set(names)) == len(names) else [str(path.absolute().relative_to(top)) for path in paths]


def _stacked(parts: dict[str, ad.AnnData], places: list[str], *, use_raw: bool) -> OnDisk:
    tables = {name: part.raw.var if use_raw else part.var for name, part in parts.items()}
    genes = {name: _names(name, table.index) for name, table in tables.items()}
    common, columns = _common(genes, tables)
    annotation = {
        "obs": _obs(parts),
        "var": _var([table.iloc[own] for table, own in zip(tables.values(), columns, strict=True)]),
        "uns": {KEY: _listed(genes, common, places, [part.n_obs for part in parts.values()])},
    }

    def stack(layer: str | None = None) -> Stack | None:
        return _stack([matrix_of(part, layer, use_raw=use_raw) for part in parts.values()], columns)

    layers = [{name for name in part.layers if name is not None} for part in parts.values()]
    wanted = [None] if use_raw else [None, *sorted(set.intersection(*layers))]
    matrices = {name_of(layer, use_raw=use_raw): stack(layer) for layer in wanted}
    found = {name: matrix for name, matrix in matrices.items() if matrix is not None}
    raw = {"var": annotation["var"].copy()} if use_raw else None
    return OnDisk(found, places=places, raw=raw, **annotation)


def _var(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The columns of the first file; what kind the features are also from another, if the first does not say."""
    found = tables[0].copy()
    said = {name: table[name].to_numpy() for table in reversed(tables) for name in kinds.COLUMNS if name in table}
    return found.assign(**{name: values for name, values in said.items() if name not in found})


def _stack(matrices: list[Any], columns: list[np.ndarray]) -> Stack | None:
    """The stacked matrices, or None if a file lacks the matrix; genes that need no reordering are given as None."""
    if any(X is None for X in matrices):
        return None
    same = [
        len(own) == X.shape[1] and bool((np.diff(own) == 1).all()) for X, own in zip(matrices, columns, strict=True)
    ]
    return Stack(matrices, [None if is_same else own for is_same, own in zip(same, columns, strict=True)])


def _common(genes: dict[str, pd.Index], tables: dict[str, pd.DataFrame]) -> tuple[pd.Index, list[np.ndarray]]:
    """The genes in all files, in the order of the first, and their column numbers in each file."""
    first, *others = genes.values()
    common = first[np.all([first.isin(other) for other in others], axis=0)]
    if any(len(own) != len(common) for own in genes.values()):
        report = "\n".join(differences(genes, common, tables))
        n_files = len(genes)
        few = len(common) < FEWEST_IN_COMMON * min(map(len, genes.values()))
        species = foreign(genes) if few else ""
        if species or not len(common):
            why = f"are of different species, {species}" if species else "have no genes in common by name"
            raise ValueError(f"the {n_files} files {why} and cannot be joined.\n{report}")
        warn(
            f"the {n_files} files have {len(common):,} genes in common{', fewer than half' if few else ''}; the other "
            f"genes are left out, also of the sums used to scale counts.\n{report}"
        )
    return common, [own.get_indexer(common) for own in genes.values()]


def _names(name: str, genes: pd.Index) -> pd.Index:
    if genes.is_unique:
        return genes.astype(str)
    twice = genes[genes.duplicated()].unique()
    raise ValueError(
        f"{name}: gene names occur more than once ({', '.join(map(str, twice[:5]))}), but genes are joined by "
        "name. Call adata.var_names_make_unique() and save the file again."
    )


def _obs(parts: dict[str, ad.AnnData]) -> pd.DataFrame:
    """The annotation of all cells: every column, with merged categories, and `FILE`."""
    frames = [part.obs for part in parts.values()]
    sizes = list(map(len, frames))
    columns = {
        name: _column([f.get(name) for f in frames], sizes) for name in dict.fromkeys(c for f in frames for c in f)
    }
    columns.setdefault(FILE, pd.Categorical.from_codes(np.repeat(np.arange(len(parts)), sizes), list(parts)))
    index = pd.Index(np.concatenate([frame.index.astype(str) for frame in frames]))
    if not index.is_unique:
        index = pd.Index(
            np.concatenate([f.index.astype(str) + f"-{name}" for name, f in zip(parts, frames, strict=True)])
        )
    return pd.DataFrame(columns, index=index)


def _column(pieces: list[pd.Series | None], sizes: list[int]) -> Any:
    """One column of all files, missing for files without it; labels become categories, numbers stay numbers."""
    present = [piece for piece in pieces if piece is not None]
    if not any(map(_is_text, present)):
        kind = "boolean" if len(present) < len(pieces) and all(map(pd.api.types.is_bool_dtype, present)) else None
        filled = (
            pd.Series(np.full(n, np.nan) if p is None else p, dtype=kind) for p, n in zip(pieces, sizes, strict=True)
        )
        return pd.concat(filled, ignore_index=True).array
    labels = [pd.Categorical([None] * n if p is None else p) for p, n in zip(pieces, sizes, strict=True)]
    own = [label.categories.astype(object) for label in labels]
    if pd.api.types.infer_dtype(np.concatenate(own)) not in ("string", "integer", "boolean"):
        own = [categories.map(str) for categories in own]
    union = pd.Index(np.concatenate(own)).unique()
    codes = [np.append(union.get_indexer(o), -1)[label.codes] for o, label in zip(own, labels, strict=True)]
    return pd.Categorical.from_codes(np.concatenate(codes), union)


def _is_text(piece: pd.Series) -> bool:
    return isinstance(piece.dtype, pd.CategoricalDtype) or piece.dtype == object or piece.dtype == "string"


def _listed(genes: dict[str, pd.Index], common: pd.Index, places: list[str], cells: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "file": list(genes),
            "path": places,
            "cells": cells,
            "genes": [len(own) for own in genes.values()],
            "left_out": [len(own) - len(common) for own in genes.values()],
        },
        index=[str(i) for i in range(len(genes))],
    )


def _has_column(name: str, part: ad.AnnData, column: str) -> None:
    if column not in part.obs:
        listed = ", ".join(map(str, part.obs)) or "none"
        raise NotFoundError(f"{name}: obs has no column {column!r}.{did_you_mean(column, part.obs)} Columns: {listed}.")


def _has_matrix(name: str, part: ad.AnnData, layer: str | None, *, use_raw: bool) -> None:
    layers = [one for one in part.layers if one is not None]
    if layer is not None and layer not in layers:
        listed = ", ".join(layers) or "none"
        raise NotFoundError(f"{name} has no layer {layer!r}.{did_you_mean(layer, layers)} Layers: {listed}.")
    if use_raw and part.raw is None:
        raise ValueError(f"{name} has no raw, but use_raw=True; pass layer=, or omit use_raw to read X.")
    if layer is None and not use_raw and matrix_of(part) is None:
        raise ValueError(f"{name} has no X; pass layer= (layers: {', '.join(layers) or 'none'}) or use_raw=True.")


def _warn_of_alike(column: str, parts: dict[str, ad.AnnData]) -> None:
    pairs = alike({name: part.obs[column] for name, part in parts.items()})
    if pairs:
        warn(
            f"labels in column {column!r} that differ only in case, spaces or dashes are used as different classes: "
            f"{pairs}. Rename them in one of the files if they are the same."
        )
