"""A hash that names the data a result was made from."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import numpy as np

from smash_gpu.blocks import stream

VERSION = b"smash-gpu fingerprint 1"


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


def _little(numbers: np.ndarray, kind: str) -> bytes:
    return np.ascontiguousarray(numbers, dtype=f"<{kind}").tobytes()


def _text(words: Iterable[str | None]) -> bytes:
    """The words one after the other such that different lists differ: each behind its length, None as a dash."""
    encoded = (None if word is None else word.encode(errors="surrogatepass") for word in words)
    return sha256(b"".join(b"-," if word is None else b"%d:%s," % (len(word), word) for word in encoded)).digest()
