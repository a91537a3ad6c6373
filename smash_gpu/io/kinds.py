"""What kind of file a path is if it is not h5ad, and how to convert it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py

from smash_gpu.io import hdf5
from smash_gpu.io.matrices import value_arrays

WRITE = "Save it with adata.write_h5ad(...) or adata.write_zarr(...)."
HEAD = 64  # bytes
BY_START = {
    b"\x1f\x8b": "It is compressed: unpack it first, with gunzip.",
    b"bzh": "It is compressed: unpack it first, with bunzip2.",
    b"\xfd7zxz": "It is compressed: unpack it first, with unxz.",
    b"pk\x03\x04": "It is a zip archive: unpack it first, with unzip.",
    b"<!doctype": "It is a web page, not the data: download the file again.",
    b"<html": "It is a web page, not the data: download the file again.",
    b"version https://git-lfs": "It is a pointer to the data, not the data: git lfs pull fetches them.",
}
DAMAGED = "It is damaged, or of a newer version of anndata: copy or create it again, or update anndata."
CODECS = {32000: "lzf", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2"}
BY_SUFFIX = {
    ".loom": "It is a loom file: adata = scanpy.read_loom(path), then adata.write_h5ad(...).",
    ".csv": "It is a text table: adata = scanpy.read_csv(path), .T if genes are rows, then adata.write_h5ad(...).",
    ".mtx": "It is only a matrix: scanpy.read_10x_mtx(folder) reads it with genes and cells; then write_h5ad(...).",
    ".h5mu": "It is a MuData file: mudata.read(path).mod['rna'].write_h5ad(...) extracts one modality.",
    ".rds": "It is an R object: write an h5ad file in R, with anndataR::write_h5ad(object, 'cells.h5ad').",
    ".h5seurat": "It is a Seurat file: write an h5ad file in R, with anndataR::write_h5ad(object, 'cells.h5ad').",
}
BY_SUFFIX |= {".tsv": BY_SUFFIX[".csv"], ".txt": BY_SUFFIX[".csv"], ".rdata": BY_SUFFIX[".rds"]}
TEN_X = "It is a 10x Genomics file: adata = scanpy.read_10x_h5(path), annotate the cells, then adata.write_h5ad(...)."


def what_it_is(path: Path) -> str:
    """A sentence with the kind of file or folder and how to convert it to h5ad."""
    if path.is_dir():
        return _folder(path)
    try:
        if h5py.is_hdf5(path):
            return _hdf5(path)
    except Exception:  # noqa: BLE001  HDF5 has many for damaged files
        return DAMAGED
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".bz2", ".zip")]
    return BY_SUFFIX.get(suffixes[-1] if suffixes else "") or _by_start(path)


def _by_start(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD).lstrip().lower()
    return next((kind for start, kind in BY_START.items() if head.startswith(start)), WRITE)


def know_codecs(path: Path) -> None:
    """Enable the codecs of hdf5plugin in h5py, if it is installed and the file needs them."""
    if find_spec("hdf5plugin") and codecs(path):
        import hdf5plugin  # noqa: F401 - importing it is enough


def codecs(path: Path) -> list[str]:
    """Codecs of an HDF5 file that h5py cannot decode, by name."""
    found: set[str] = set()
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            file.visititems(lambda _, item: found.update(_named(_unknown(item))))
    return sorted(found)


def undecodable(matrix: Any) -> set[str]:
    """Codecs of a dense or sparse matrix on disk that neither h5py nor `smash_gpu.io.hdf5` can decode."""
    arrays = value_arrays(matrix) or [matrix]
    return set().union(*(_named(_unknown(a) - (set(hdf5.CODECS) if a.ndim == 1 else set())) for a in arrays))


def _unknown(item: Any) -> set[int]:
    """Numbers of the filters of an HDF5 array that h5py lacks."""
    return {number for number, _ in hdf5.filters_of(item) if not h5py.h5z.filter_avail(number)}


def _named(numbers: set[int]) -> set[str]:
    return {CODECS.get(number, f"filter {number}") for number in numbers}


def _hdf5(path: Path) -> str:
    unknown = codecs(path)
    if unknown and find_spec("hdf5plugin") is None:
        return f"It is compressed with {' and '.join(unknown)}, which h5py alone cannot decode: pip install hdf5plugin."
    with h5py.File(path, "r") as file:
        if "row_attrs" in file:
            return BY_SUFFIX[".loom"]
        if "mod" in file:
            return BY_SUFFIX[".h5mu"]
        if "assays" in file:
            return BY_SUFFIX[".h5seurat"]
        if {"obs", "var"} <= set(file):
            return DAMAGED
        return TEN_X if any(f"{name}/barcodes" in file for name in file) else WRITE


def _folder(path: Path) -> str:
    names = {file.name for file in path.iterdir()}
    if {"matrix.mtx", "matrix.mtx.gz"} & names:
        return BY_SUFFIX[".mtx"]
    inside = sorted(name for name in names if name.endswith((".h5ad", ".zarr")))
    if inside and not {".zgroup", "zarr.json"} & names:
        return (
            f"It is a folder with {', '.join(inside[:5])}: pass those, or '{path}/*{Path(inside[0]).suffix}' in quotes."
        )
    return WRITE
