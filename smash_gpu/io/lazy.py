"""Annotated cells whose matrices stay in their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import zarr

from smash_gpu.errors import warn
from smash_gpu.io.matrices import to_memory
from smash_gpu.io.stack import Stack

FIXED = "matrices on disk cannot be changed in place; use adata.to_memory(), or a slice adata[cells, genes]."
MAIN, RAW, LAYERS = "X", "raw/X", "layers/"  # their names in files; "layers/" is followed by the name of the layer


class OnDisk(ad.AnnData):
    """AnnData whose ``X``, ``layers`` and ``raw.X`` are read only when used, and may come from several files.

    A slice (``adata[cells]``) is lazy as well: creating it reads nothing, and the steps of this package read it block
    by block. For other code, ``X`` of a slice is a matrix in memory, read on every access. Writing to a file leaves out
    the matrices, because they are in files already.

    Parameters
    ----------
    matrices
        Matrices by name: "X", "raw/X", or "layers/" and the name of the layer.
    places
        Paths of the files.
    raw
        ``var`` and ``varm`` of ``raw``.
    """

    def __init__(
        self,
        matrices: Mapping[str, Stack],
        *,
        places: Iterable[str | Path],
        raw: Mapping[str, Any] | None = None,
        is_part: bool = False,
        **annotation: Any,
    ) -> None:
        super().__init__(None, **annotation)
        self.matrices, self.is_part = matrices, is_part
        self.places = [str(Path(place).absolute()) for place in places]
        self.raw_on_disk: RawOnDisk | None = None
        if RAW in matrices:
            names = pd.DataFrame(index=[str(i) for i in range(matrices[RAW].shape[1])])
            self.raw_on_disk = RawOnDisk(self, **{"var": names, **(raw or {})})

    def seen(self, matrix: Stack | None) -> Any:
        """A matrix as the user sees it: for a slice the values in memory, else the matrix on disk."""
        return matrix if matrix is None else matrix.to_memory() if self.is_part else matrix.unstacked

    def _fixed(self, value: Any) -> None:
        raise TypeError(FIXED)

    def _empty(self, value: Any) -> None:  # AnnData sets layers in its constructor
        if value:
            raise TypeError(FIXED)

    X = property(
        lambda self: self.seen(self.matrices.get(MAIN)), _fixed, doc="Cells × genes, on disk; a slice is read."
    )
    layers = property(lambda self: _Layers(self), _empty, doc="The layers, each like `X`.")
    raw = property(lambda self: self.raw_on_disk, _fixed, doc="``raw``, with a matrix like `X`.")
    isbacked = property(lambda self: False, doc="Whether AnnData itself keeps a file open, which it does not.")
    _inplace_subset_obs = _inplace_subset_var = _fixed  # scanpy calls these names

    def __getitem__(self, index: Any) -> OnDisk:
        cells, genes = _numbers(self, index)
        return OnDisk(
            {name: matrix.only(cells, slice(None) if name == RAW else genes) for name, matrix in self.matrices.items()},
            places=self.places,
            raw=self._raw_parts(),
            is_part=True,
            obs=self.obs.iloc[cells],
            var=self.var.iloc[genes],
            uns=dict(self.uns),
            varm={name: getattr(value, "iloc", value)[genes] for name, value in self.varm.items()},
        )

    def __reduce__(self) -> tuple:
        options: dict[str, Any] = {"places": self.places, "raw": self._raw_parts(), "is_part": self.is_part}
        return partial(OnDisk, **options, **self._annotation()), (self.matrices,)

    def copy(self, filename: Any = None) -> OnDisk:
        """A copy of the annotation, with the same matrices."""
        if filename is not None:
            raise ValueError("cannot copy data on disk to another file; copy the file itself.")
        annotation = deepcopy(self._annotation())
        return OnDisk(self.matrices, places=self.places, raw=self._raw_parts(), is_part=self.is_part, **annotation)

    def to_memory(self, *, copy: bool = False) -> ad.AnnData:
        """Everything in memory."""
        read = {name: to_memory(matrix.unstacked) for name, matrix in self.matrices.items()}
        layers = {name: read[LAYERS + name] for name in self.layers}
        annotation = deepcopy(self._annotation()) if copy else self._annotation()
        whole = ad.AnnData(read.get(MAIN), layers=layers, **annotation)
        if RAW in read:
            whole.raw = ad.AnnData(read[RAW], obs=self.obs[[]], **self._raw_parts())
        return whole

    def write_h5ad(self, filename: Any, *arguments: Any, **options: Any) -> None:
        """Write annotation and results without the matrices, with a warning.

        Raises
        ------
        ValueError
            If this would overwrite a file that holds the matrices.
        """
        self._without_matrices(filename).write_h5ad(filename, *arguments, **options)

    write = write_h5ad

    def write_zarr(self, store: Any, *arguments: Any, **options: Any) -> None:
        """Like `write_h5ad`, but to a zarr store."""
        self._without_matrices(store).write_zarr(store, *arguments, **options)

    def _without_matrices(self, target: Any) -> ad.AnnData:
        _keep(target, map(Path, self.places))
        warn(
            f"annotation and results are written without the matrices, which stay in {', '.join(self.places)}; use "
            "adata.to_memory() to write everything."
        )
        return ad.AnnData(None, **self._annotation())

    def _annotation(self) -> dict[str, Any]:
        return {"obs": self.obs, "var": self.var, "uns": dict(self.uns), "varm": dict(self.varm)}

    def _raw_parts(self) -> dict[str, Any]:
        return {} if self.raw is None else {"var": self.raw.var, "varm": dict(self.raw.varm)}


class RawOnDisk(ad.Raw):
    """``raw`` of `OnDisk`."""

    def __init__(self, of: OnDisk, **annotation: Any) -> None:
        super().__init__(of, of.matrices[RAW], **annotation)
        self.of = of

    X = property(lambda self: self.of.seen(self.of.matrices[RAW]), doc="Cells × genes, like ``X`` of the whole.")

    def __getitem__(self, index: Any) -> OnDisk:
        return self.to_adata()[index]

    def copy(self) -> RawOnDisk:
        """A copy of the annotation, with the same matrix."""
        return RawOnDisk(self.of, var=self.var.copy(), varm=dict(self.varm))

    def to_adata(self) -> OnDisk:
        """The matrix as ``X``, with the annotation of the cells; nothing is read."""
        of = self.of
        annotation = of._annotation() | {"var": self.var, "varm": dict(self.varm)}
        return OnDisk({MAIN: of.matrices[RAW]}, places=of.places, is_part=of.is_part, **deepcopy(annotation))


class _Layers(Mapping):
    def __init__(self, of: OnDisk) -> None:
        self._of = of

    def __getitem__(self, name: str) -> Any:
        return self._of.seen(self._of.matrices[f"{LAYERS}{name}"])

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(LAYERS) for name in self._of.matrices if name.startswith(LAYERS))

    def __len__(self) -> int:
        return len(list(iter(self)))


def _numbers(adata: ad.AnnData, index: Any) -> list[Any]:
    """The numbers of the cells and genes that AnnData takes for ``index``; a slice of everything stays one."""
    counted = [pd.DataFrame({"number": np.arange(len(names))}, names) for names in (adata.obs_names, adata.var_names)]
    with ad.settings.override(check_uniqueness=False):  # that takes long, and was done when the file was opened
        part = ad.AnnData(obs=counted[0], var=counted[1])[index]
    found = [part.obs["number"].to_numpy(), part.var["number"].to_numpy()]
    return [slice(None) if np.array_equal(f, c["number"]) else f for f, c in zip(found, counted, strict=True)]


def matrix_of(adata: ad.AnnData, layer: str | None = None, *, use_raw: bool = False) -> Any:
    """``X``, a layer or ``raw.X``; a matrix on disk stays there. None if there is no ``X``."""
    if not isinstance(adata, OnDisk):
        return adata.raw.X if use_raw else adata.X if layer is None else adata.layers[layer]
    matrix = adata.matrices.get(name_of(layer, use_raw=use_raw))
    return None if matrix is None else matrix.unstacked


def name_of(layer: str | None = None, *, use_raw: bool = False) -> str:
    """The name of a matrix in files."""
    return RAW if use_raw else MAIN if layer is None else LAYERS + layer


def _keep(target: Any, sources: Iterable[Path]) -> None:
    """Raise a ValueError if ``target`` (path, zarr store or group) is, contains or lies within a source."""
    if isinstance(target, zarr.Group):
        target = target.store_path.store
    if isinstance(target, zarr.storage.LocalStore):
        target = target.root
    if not isinstance(target, str | Path):
        return
    place = Path(str(target).removeprefix("file://")).resolve()
    for source in (source.resolve() for source in sources):
        is_same_file = place.is_file() and source.is_file() and place.samefile(source)
        if is_same_file or source.is_relative_to(place) or place.is_relative_to(source):
            raise ValueError(f"{target} holds the matrices themselves and would be overwritten; choose another name.")
