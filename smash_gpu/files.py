"""AnnData from an h5ad file or a zarr store; large matrices stay on disk."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import anndata as ad

BYTES_IN_MEMORY = 2**30


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question about the words that look like ``word``; empty if none does."""
    near = get_close_matches(word, [str(k) for k in known])
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def open_file(path: str | Path) -> ad.AnnData:
    """An h5ad file or a zarr store as AnnData: below 1 GiB in memory, else with the matrix left on disk.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is neither h5ad nor zarr.
    """
    path = Path(path)
    if not path.exists():
        beside = [p.name for p in path.absolute().parent.glob("*")]
        raise FileNotFoundError(f"there is no file {path}." + did_you_mean(path.name, beside))
    try:
        if path.is_dir():
            return _open_zarr(path)
        return ad.read_h5ad(path, backed="r" if path.stat().st_size > BYTES_IN_MEMORY else None)
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as {'a zarr store' if path.is_dir() else 'an h5ad file'} of annotated cells "
            f"({type(error).__name__}: {error}). Save it with adata.write_h5ad(...) or adata.write_zarr(...)."
        ) from error


def _open_zarr(path: Path) -> ad.AnnData:
    if sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) <= BYTES_IN_MEMORY:
        return ad.read_zarr(path)
    import zarr

    store = zarr.open_group(path, mode="r")
    parts = {name: ad.io.read_elem(store[name]) for name in ("obs", "var")}
    layers = {name: _lazy(store["layers"][name]) for name in store.get("layers", {})}
    adata = ad.AnnData(_lazy(store["X"]), **parts, layers=layers)
    if hasattr(store.get("raw"), "keys"):
        raw = store["raw"]
        adata.raw = ad.AnnData(_lazy(raw["X"]), obs=parts["obs"][[]], var=ad.io.read_elem(raw["var"]))
    return adata


def _lazy(element: Any) -> Any:
    return ad.io.sparse_dataset(element) if hasattr(element, "keys") else element
