"""Annotated cells whose matrices stay in their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
import zarr

from smash_gpu.errors import warn
from smash_gpu.io.matrices import to_memory
from smash_gpu.io.stack import Stack

FIXED = "matrices on disk cannot be changed or cut in place: use adata.to_memory(), or a part, adata[cells, genes]."
MAIN, RAW, LAYERS = "X", "raw/X", "layers/"  # as files name them; a layer's own name follows


class OnDisk(ad.AnnData):
    """AnnData whose ``X``, ``layers`` and ``raw.X`` are read when they are used, and can be of several files.

    A part of it (``adata[cells]``) is of the same kind: to make it reads nothing, and steps of this package read it
    block by block. To others its ``X`` is a matrix in memory, read whenever it is asked for. Written to a file it is
    without matrices, since those are in files already.

    Parameters
    ----------
    matrices
        By name: "X", "raw/X", and "layers/" with the name of the layer.
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
        if RAW in matrices:
            names = pd.DataFrame(index=[str(i) for i in range(matrices[RAW].shape[1])])
            self._raw = RawOnDisk(self, matrices[RAW], **{"var": names, **(raw or {})})

    def seen(self, matrix: Stack | None) -> Any:
        """What a user sees of a matrix: of a part its values in memory, else the matrix on disk."""
        return matrix if matrix is None else matrix.to_memory() if self.is_part else matrix.unstacked

    def _fixed(self, value: Any) -> None:
        raise TypeError(FIXED)

    def _empty(self, value: Any) -> None:  # as AnnData sets layers when it is made
        if value:
            raise TypeError(FIXED)

    X = property(lambda self: self.seen(self.matrices.get(MAIN)), _fixed, doc="Cells × genes, on disk; of a part read.")
    layers = property(lambda self: _Layers(self), _empty, doc="The layers, each as `X`.")
    raw = property(lambda self: self._raw, _fixed, doc="A matrix of other genes, as `X`.")
    _inplace_subset_obs = _inplace_subset_var = _fixed

    def __getitem__(self, index: Any) -> OnDisk:
        cells, genes = self._normalize_indices(index)
        cells, genes = (slice(i, i + 1 or None) if pd.api.types.is_integer(i) else i for i in (cells, genes))
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

    def copy(self, filename: Any = None) -> OnDisk:
        """A copy of the annotation, of the same matrices."""
        if filename is not None:
            raise ValueError("data on disk cannot be copied to a file: copy the file.")
        how = {"places": self.places, "raw": self._raw_parts(), "is_part": self.is_part}
        return OnDisk(self.matrices, **how, **deepcopy(self._annotation()))

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
        """Write annotation and results, without matrices, after a warning that says so.

        Raises
        ------
        ValueError
            If that would overwrite a file that holds the matrices.
        """
        self._without_matrices(filename).write_h5ad(filename, *arguments, **options)

    write = write_h5ad

    def write_zarr(self, store: Any, *arguments: Any, **options: Any) -> None:
        """As `write_h5ad`, to a zarr store."""
        self._without_matrices(store).write_zarr(store, *arguments, **options)

    def _without_matrices(self, target: Any) -> ad.AnnData:
        _keep(target, map(Path, self.places))
        warn(
            f"annotation and results are written without the matrices, which stay in {', '.join(self.places)}; "
            "adata.to_memory() can be written whole."
        )
        return ad.AnnData(None, **self._annotation())

    def _annotation(self) -> dict[str, Any]:
        return {"obs": self.obs, "var": self.var, "uns": dict(self.uns), "varm": dict(self.varm)}

    def _raw_parts(self) -> dict[str, Any]:
        return {} if self.raw is None else {"var": self.raw.var, "varm": dict(self.raw.varm)}


class RawOnDisk(ad.Raw):
    """``raw`` of `OnDisk`."""

    X = property(lambda self: self._adata.seen(self._X), doc="Cells × genes, as ``X`` of the annotated data.")

    def to_adata(self) -> OnDisk:
        """The matrix as ``X``, with the annotation of the cells; nothing is read."""
        of = self._adata
        annotation = of._annotation() | {"var": self.var, "varm": dict(self.varm)}
        return OnDisk({MAIN: self._X}, places=of.places, is_part=of.is_part, **deepcopy(annotation))


class _Layers(Mapping):
    def __init__(self, of: OnDisk) -> None:
        self._of = of

    def __getitem__(self, name: str) -> Any:
        return self._of.seen(self._of.matrices[f"{LAYERS}{name}"])

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(LAYERS) for name in self._of.matrices if name.startswith(LAYERS))

    def __len__(self) -> int:
        return len(list(iter(self)))


def matrix_of(adata: ad.AnnData, layer: str | None = None, *, use_raw: bool = False) -> Any:
    """``X``, a layer or ``raw.X``, such that what is on disk stays there; None where there is no ``X``."""
    if not isinstance(adata, OnDisk):
        return adata.raw.X if use_raw else adata.X if layer is None else adata.layers[layer]
    matrix = adata.matrices.get(name_of(layer, use_raw=use_raw))
    return None if matrix is None else matrix.unstacked


def name_of(layer: str | None = None, *, use_raw: bool = False) -> str:
    """What files call a matrix."""
    return RAW if use_raw else MAIN if layer is None else LAYERS + layer


def _keep(target: Any, sources: Iterable[Path]) -> None:
    """An error if ``target``, a path or a zarr store or group, is one of the sources, inside of one, or around one."""
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
            raise ValueError(f"{target} holds the matrices themselves and would be overwritten: choose another name.")
