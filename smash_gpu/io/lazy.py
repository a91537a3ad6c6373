"""Annotated cells whose matrices stay in their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
import zarr

from smash_gpu.errors import warn
from smash_gpu.io.matrices import to_memory
from smash_gpu.io.stack import Stack

FIXED = "matrices on disk cannot be changed or cut in place: use adata.to_memory(), or a part, adata[cells, genes]."


@dataclass(frozen=True)
class Held:
    """Matrices of annotated cells as they lie on disk; None where there is none."""

    X: Stack | None
    layers: Mapping[str, Stack] = field(default_factory=dict)
    raw: Stack | None = None

    def only(self, cells: Any, genes: Any) -> Held:
        """The chosen cells and genes; ``raw`` keeps all its genes, as in AnnData."""
        layers = {name: layer.only(cells, genes) for name, layer in self.layers.items()}
        X = None if self.X is None else self.X.only(cells, genes)
        return Held(X, layers, None if self.raw is None else self.raw.only(cells))


class OnDisk(ad.AnnData):
    """AnnData whose ``X``, ``layers`` and ``raw.X`` are read when they are used, and can be of several files.

    A part of it (``adata[cells]``) is of the same kind: to make it reads nothing, and steps of this package read it
    block by block. To others its ``X`` is a matrix in memory, read whenever it is asked for. Written to a file it is
    without matrices, since those are in files already.
    """

    def __init__(
        self,
        matrices: Held,
        *,
        places: Sequence[str],
        raw: Mapping[str, Any] | None = None,
        is_part: bool = False,
        **annotation: Any,
    ) -> None:
        super().__init__(None, **annotation)
        self.held, self._is_part = matrices, is_part
        self.places = [str(Path(place).absolute()) for place in places]
        if matrices.raw is not None:
            raw = {"var": pd.DataFrame(index=[str(i) for i in range(matrices.raw.shape[1])]), **(raw or {})}
            self._raw = RawOnDisk(self, matrices.raw, raw["var"], raw.get("varm"))

    @property
    def X(self) -> Any:
        """Cells × genes: the matrix on disk, or a part of one in memory."""
        return self._seen(self.held.X)

    @property
    def layers(self) -> Mapping[str, Any]:
        """The layers, each as `X`."""
        return _Layers(self.held.layers, self._seen)

    @X.setter
    def X(self, value: Any) -> None:
        raise TypeError(FIXED)

    @layers.setter
    def layers(self, value: Any) -> None:
        if value:  # AnnData sets None when it is made
            raise TypeError(FIXED)

    @property
    def raw(self) -> RawOnDisk | None:
        """A matrix of other genes, as `X`."""
        return self._raw

    @raw.setter
    def raw(self, value: Any) -> None:
        raise TypeError(FIXED)

    def _inplace_subset_var(self, index: Any) -> None:
        raise TypeError(FIXED)

    _inplace_subset_obs = _inplace_subset_var

    def _seen(self, matrix: Stack | None) -> Any:
        if matrix is None:
            return None
        return matrix.to_memory() if self._is_part else matrix.plain

    def __getitem__(self, index: Any) -> OnDisk:
        cells, genes = self._normalize_indices(index)
        cells, genes = (slice(i, i + 1 or None) if pd.api.types.is_integer(i) else i for i in (cells, genes))
        return OnDisk(
            self.held.only(cells, genes),
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
        held = self.held, self.places, self._raw_parts(), self._is_part
        return OnDisk(held[0], places=held[1], raw=held[2], is_part=held[3], **self._annotation(deepcopy))

    def to_memory(self, *, copy: bool = False) -> ad.AnnData:
        """Everything in memory."""
        whole = ad.AnnData(
            None if self.held.X is None else to_memory(self.held.X.plain),
            layers={name: to_memory(layer.plain) for name, layer in self.held.layers.items()},
            **self._annotation(deepcopy if copy else lambda value: value),
        )
        if self.raw is not None:
            whole.raw = ad.AnnData(to_memory(self.held.raw.plain), obs=self.obs[[]], **self._raw_parts())
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
        return ad.AnnData(None, **self._annotation(lambda value: value))

    def _annotation(self, handed: Callable) -> dict[str, Any]:
        parts = {"obs": self.obs, "var": self.var, "uns": dict(self.uns), "varm": dict(self.varm)}
        return {name: handed(part) for name, part in parts.items()}

    def _raw_parts(self) -> dict[str, Any]:
        return {} if self.raw is None else {"var": self.raw.var, "varm": dict(self.raw.varm)}


class RawOnDisk(ad.Raw):
    """``raw`` of `OnDisk`."""

    def __init__(self, adata: OnDisk, matrix: Stack, var: pd.DataFrame, varm: Any) -> None:
        super().__init__(adata, X=matrix, var=var, varm=varm)

    @property
    def X(self) -> Any:
        """Cells × genes, as ``X`` of the annotated data."""
        return self._adata._seen(self._X)

    def to_adata(self) -> OnDisk:
        """The matrix as ``X``, with the annotation of the cells; nothing is read."""
        of = self._adata
        return OnDisk(
            Held(self._X),
            places=of.places,
            is_part=of._is_part,
            obs=of.obs.copy(),
            var=self.var.copy(),
            varm=dict(self.varm),
            uns=deepcopy(dict(of.uns)),
        )


class _Layers(Mapping):
    def __init__(self, layers: Mapping[str, Stack], seen: Callable) -> None:
        self._layers, self._seen = layers, seen

    def __getitem__(self, name: str) -> Any:
        return self._seen(self._layers[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)


def matrix_of(adata: ad.AnnData, layer: str | None = None, *, use_raw: bool = False) -> Any:
    """``X``, a layer or ``raw.X``, such that what is on disk stays there; None where there is no ``X``."""
    if not isinstance(adata, OnDisk):
        return adata.raw.X if use_raw else adata.X if layer is None else adata.layers[layer]
    matrix = adata.held.raw if use_raw else adata.held.X if layer is None else adata.held.layers[layer]
    return None if matrix is None else matrix.plain


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
