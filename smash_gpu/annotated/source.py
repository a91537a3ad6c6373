"""The options that say where expression and cells come from."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, TypedDict

from smash_gpu.runtime import memory as runtime_memory
from smash_gpu.runtime.words import did_you_mean, join_names


class Source(TypedDict, total=False):
    """Where the expression and the cells come from; what a step does not say, an earlier step's word holds for.

    Attributes
    ----------
    layer
        Layer to read instead of ``X``.
    use_raw
        Read ``adata.raw`` instead of ``X``; it must hold the same genes.
    normalize
        True (default): the matrix holds raw counts, which are scaled by the sum over all its genes; of several files
        by the sum over the genes that all have. False: it is log-normalised already.
    gene_symbols
        Column of ``adata.var`` with gene symbols, if ``var_names`` are something else (Ensembl ids).
    min_cells
        Leave out groups with fewer cells, with a warning. Default: such groups (below 2) are an error.
    sample_key
        Column of ``adata.obs`` with the sample, patient or donor of each cell; "file" where each of several files is
        one.
    batch_key
        Column of ``adata.obs`` with the batch of each cell, to be corrected by Harmony; or "file".
    device
        "auto" (default), "cpu" or "cuda".
    memory
        What the whole process may have, for this call: bytes, or "8GB". None (default): half of what is free, more. It
        decides how many cells are read at a time and whether the cells to train on are kept on disk; results do not
        depend on it.
    """

    layer: str | None
    use_raw: bool
    normalize: bool
    gene_symbols: str | None
    min_cells: int | None
    sample_key: str | None
    batch_key: str | None
    device: str
    memory: int | str | None


def takes_source(function: Callable) -> Callable:
    """Answer an option that ``function`` and `Source` do not have by those that they have."""
    parameters = signature(function).parameters
    known = {*parameters, *Source.__annotations__} - {"source"}
    accepted = str(parameters["adata"].annotation)

    @wraps(function)
    def checked(*arguments: Any, **options: Any) -> Any:
        if arguments and isinstance(arguments[0], str | Path | list) and "Path" not in accepted:
            raise TypeError(f"{function.__name__} takes annotated data: read {arguments[0]} first, or use tl.smash.")
        unknown = [name for name in options if name not in known]
        if unknown:
            raise TypeError(
                f"{function.__name__} has no option {unknown[0]!r}."
                + did_you_mean(unknown[0], known)
                + f" It has {join_names(sorted(known))}."
            )
        with runtime_memory.limit(options.pop("memory", None)):
            return function(*arguments, **options)

    return checked
