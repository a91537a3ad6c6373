"""A hash that names the data a result was made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any
from zlib import crc32

import numpy as np
from scipy import sparse

from smash_gpu.blocks.fold import stream
from smash_gpu.blocks.readers import by_rows
from smash_gpu.io import hdf5, integrity, matrices
from smash_gpu.io import open as io_open

VERSION = b"smash-gpu fingerprint 1"
SAMPLED = b"smash-gpu sampled fingerprint 1"
N_SAMPLES = 64
VALUES_PER_SAMPLE = 4096


def fingerprint(matrix: Any, names: Iterable[str], labels: Iterable[str | None]) -> str:
    """SHA-256 of the shape, the gene names, the label of every cell and every value that is not zero, all in order.

    The same for every container and block size (dense, CSR, CSC, file, Dask) and for every dtype of counts; explicit
    zeros are ignored. Values are compared as float64: fractions rounded to float32 give another hash. Cell names, other
    annotation and other layers are not covered.

    Parameters
    ----------
    matrix
        Cells × genes, anything that `fold.stream` reads.
    names
        Gene names.
    labels
        Label of each cell; None where there is none.
    """
    lengths, columns, values = sha256(), sha256(), sha256()
    for (block,) in stream(matrix):
        kept = block.data != 0
        lengths.update(_little(np.diff(np.append(0, np.cumsum(kept))[block.indptr]), "i8"))
        columns.update(_little(block.indices[kept], "i8"))
        values.update(_little(block.data[kept], "f8"))
    whole = sha256(VERSION)
    whole.update(_little(np.array(matrix.shape), "i8"))
    for part in (_text(names), _text(labels), lengths.digest(), columns.digest(), values.digest()):
        whole.update(part)
    return whole.hexdigest()


def sampled(matrix: Any, names: Iterable[str]) -> str:
    """SHA-256 that names a matrix, without reading all of it if it is on disk and has more than 1 GiB.

    All values of other matrices are read, so that it is the same for all that hold the same values and names. Of large
    ones on disk, and of those stored by genes (CSC), it covers the shape, the gene names, the size and the time of the
    last change of every file that holds the matrix, which matrix of the file it is (such as ``layers/counts``), the
    length of every cell's row in the file, and `N_SAMPLES` evenly spread runs of values and columns; not the place and
    name of the file. Not noticed: values changed in place, outside those runs, by a program that sets the time of the
    last change back. On the other hand any change of an h5ad file, such as a new column of ``obs``, changes the
    hash. Labels are never covered.

    Parameters
    ----------
    matrix
        Cells × genes, anything that `readers.by_rows` takes.
    names
        Gene names.
    """
    parts = [(part, matrices.arrays(part)) for part in matrices.parts(matrix)]
    if _is_read_whole(parts):
        return fingerprint(by_rows(matrix), names, ())
    whole = sha256(SAMPLED + _little(np.array(matrix.shape), "i8") + _text(names))
    for part, arrays in parts:
        whole.update(_of_files(part, arrays) if arrays else fingerprint(by_rows(part), (), ()).encode())
    for numbers in matrices.chosen(matrix) or (None,):
        whole.update(b"all" if numbers is None else _little(np.append(len(numbers), numbers), "i8"))
    return whole.hexdigest()


def identity(matrix: Any) -> str | None:
    """What changes when the values of a matrix change, at a small part of the cost of a pass; None if there is no such.

    Of a matrix on disk the size and the time of the last change of its files, of one in memory a checksum of all its
    bytes. A Dask array has none: its name stays when a file behind it changes.
    """
    found = [_identity(part) for part in matrices.parts(matrix)]
    found += ["all" if numbers is None else _checksum(np.asarray(numbers)) for numbers in matrices.chosen(matrix)]
    parts = [part for part in found if part is not None]
    return f"{matrix.shape} {' '.join(parts)}" if len(parts) == len(found) else None


def _identity(matrix: Any) -> str | None:
    arrays = matrices.arrays(matrix)
    if any(getattr(getattr(array, "file", None), "mode", "r") != "r" for array in arrays.values()):
        return None  # what is written to an open HDF5 file shows on the disk later
    if arrays:
        names = [f"{name} {array.name} {array.dtype.str} {array.shape}" for name, array in arrays.items()]
        return f"{names} {dict(integrity.files(matrices.places(matrix)))}"
    if sparse.issparse(matrix) and matrix.format in ("csr", "csc"):
        return f"{matrix.format} {[_checksum(array) for array in (matrix.data, matrix.indices, matrix.indptr)]}"
    return _checksum(matrix) if isinstance(matrix, np.ndarray) else None


def _checksum(array: np.ndarray) -> str:
    """Of the values in the order in which they lie in memory."""
    turned = array.T if array.flags.f_contiguous else array
    return f"{array.dtype.str} {array.shape} {array.strides} {crc32(np.ascontiguousarray(turned).data):08x}"


def _is_read_whole(parts: Sequence[tuple[Any, Mapping[str, Any]]]) -> bool:
    on_disk = [(part, arrays) for part, arrays in parts if arrays]
    n_bytes = sum(array.nbytes for _, arrays in on_disk for array in arrays.values())
    return n_bytes <= io_open.BYTES_IN_MEMORY and all(matrices.layout(part) != "csc" for part, _ in on_disk)


def _of_files(matrix: Any, arrays: Mapping[str, Any]) -> bytes:
    found = sha256(_little(np.array(list(integrity.files(matrices.places(matrix)).values())), "i8"))
    for name, array in arrays.items():
        found.update(f"{name} {array.name} {array.dtype.str} {array.shape};".encode())
        for cut in [slice(None)] if name.endswith("indptr") else _spread(array.shape):
            values = hdf5.array_reader(array)(*cut.indices(array.shape[0])[:2]) if array.ndim == 1 else array[cut]
            found.update(np.ascontiguousarray(values).tobytes())
    return found.digest()


def _spread(shape: tuple[int, ...]) -> Iterator[slice]:
    """Evenly spread runs along the first axis; all of it where they would meet."""
    length, *width = shape
    run = max(1, VALUES_PER_SAMPLE // max(1, *width)) if width else VALUES_PER_SAMPLE
    if length <= N_SAMPLES * run:
        yield slice(None)
        return
    yield from (slice(start, start + run) for start in np.linspace(0, length - run, N_SAMPLES, dtype=int).tolist())


def _little(numbers: np.ndarray, kind: str) -> bytes:
    return np.ascontiguousarray(numbers, dtype=f"<{kind}").tobytes()


def _text(words: Iterable[str | None]) -> bytes:
    """The words one after the other such that different lists differ: each behind its length, None as a dash."""
    encoded = (None if word is None else word.encode(errors="surrogatepass") for word in words)
    return sha256(b"".join(b"-," if word is None else b"%d:%s," % (len(word), word) for word in encoded)).digest()
