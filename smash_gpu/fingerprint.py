"""A hash that names the data a result was made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import numpy as np

from smash_gpu import chunks, stores
from smash_gpu.blocks import stream
from smash_gpu.stack import Stack

VERSION = b"smash-gpu fingerprint 1"
SAMPLED = b"smash-gpu sampled fingerprint 1"
N_SAMPLES = 64
VALUES_PER_SAMPLE = 4096


def fingerprint(matrix: Any, names: Iterable[str], labels: Iterable[str | None]) -> str:
    """SHA-256 of the shape, the gene names, the label of every cell and every value that is not zero, all in order.

    The same for every container and block size (dense, CSR, CSC, file, Dask) and for counts of every type; explicit
    zeros do not count. Values are compared as float64: fractions rounded to float32 are other values. Cell names, other
    annotation and other layers are not covered.

    Parameters
    ----------
    matrix
        Cells × genes, anything that `blocks.stream` reads.
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
    """SHA-256 that names a matrix left on disk without reading all of it; `fingerprint` for every other matrix.

    Covers the shape, the gene names, the size and the time of the last change of every file that holds the matrix, the
    length of every cell's row in the file, and `N_SAMPLES` evenly spread runs of values and columns; not the place and
    name of the file, nor labels. Not noticed: values changed in place, outside those runs, by a program that sets the
    time of the last change back. On the other hand any other change of an h5ad file, such as a new column of
    ``obs``, makes it another one. That of several files is made of those of each, in their order.

    Parameters
    ----------
    matrix
        Cells × genes, anything that `blocks.stream` reads, or CSC on disk.
    names
        Gene names.
    """
    if isinstance(matrix, Stack):
        return _of_stack(matrix, names)
    found = stores.arrays(matrix)
    if not found:
        return fingerprint(matrix, names, ())
    whole = sha256(SAMPLED + _little(np.array(matrix.shape), "i8") + _text(names))
    whole.update(_little(np.array(list(stores.files(matrix).values())), "i8"))
    for name, array in found.items():
        whole.update(f"{name} {array.dtype.str} {array.shape};".encode())
        for cut in [slice(None)] if name.endswith("indptr") else _spread(array.shape):
            values = chunks.reader(array)(*cut.indices(len(array))[:2]) if array.ndim == 1 else array[cut]
            whole.update(np.ascontiguousarray(values).tobytes())
    return whole.hexdigest()


def _of_stack(stack: Stack, names: Iterable[str]) -> str:
    """That of every matrix, and which of its genes and cells are meant, in which order."""
    whole = sha256(SAMPLED + _text(names) + _text(sampled(part, ()) for part in stack.matrices))
    for numbers in (*stack.genes, stack.cells):
        whole.update(b"all" if numbers is None else _little(np.append(len(numbers), numbers), "i8"))
    return whole.hexdigest()


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
