"""The options that say where expression and cells come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Earlier(Enum):
    """Stands for the option that an earlier step used."""

    EARLIER = "the option of the earlier step"

    def __repr__(self) -> str:
        return self.name


EARLIER = Earlier.EARLIER


@dataclass(frozen=True)
class Source:
    """Where expression and cells come from, and on which device they are read; see `smash_gpu.pp.filter_genes`."""

    layer: str | None = None
    use_raw: bool = False
    normalize: bool | None = None
    gene_symbols: str | None = None
    min_cells: int | None = None
    sample_key: str | None = None
    batch_key: str | None = None
    device: str = "auto"


def require_annotated(adata: Any) -> None:
    """Raise a TypeError for anything but AnnData."""
    from anndata import AnnData

    if not isinstance(adata, AnnData):
        raise TypeError(
            f"AnnData is needed, not {type(adata).__name__}. Read a file by smash_gpu.read(path), or use tl.smash, "
            "which takes paths."
        )
