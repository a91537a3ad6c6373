"""Errors that callers may want to catch, and warnings that point at the caller's line."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["ChangedError", "InfeasibleError", "NotFoundError", "NothingLeftError"]
SAID = "warnings of this call"
PACKAGE = str(Path(__file__).parent / "_")[:-1]  # with the separator at the end


def __dir__() -> list[str]:
    return __all__


class NotFoundError(KeyError):
    """A column, layer, gene, class or result is not in the data; the message names near matches.

    It is a `KeyError` that prints its sentence; a plain one prints the ``repr`` of it.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> try:
    ...     smg.pp.filter_genes(adata, "celltype")
    ... except smg.errors.NotFoundError as error:
    ...     print(error)
    adata.obs has no column 'celltype'. Did you mean 'cell_type'? Columns: cell_type, sample, batch.
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NothingLeftError(ValueError):
    """No gene passed the filters; the message holds the table of the genes that each rule removed.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> try:
    ...     smg.pp.filter_genes(adata, "cell_type", exclude=adata.var_names)
    ... except smg.errors.NothingLeftError as error:
    ...     print(str(error).splitlines()[0])
    no gene is left after the filters:
    """


class InfeasibleError(ValueError):
    """No panel of exactly N genes meets the constraints.

    Attributes
    ----------
    message
        The first line.
    certificate
        One row per constraint in the way: ``constraint``, ``of`` (the class), ``asked``, ``possible`` (a bound on the
        best value), ``way_out``.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> try:
    ...     smg.tl.panel(adata, "cell_type", n_genes=10, exclude=adata.var_names[5:])
    ... except smg.errors.InfeasibleError as error:
    ...     print(error.certificate["way_out"].tolist()[0])
    ask for at most 5 genes, or relax a rule
    """

    def __init__(self, message: str, certificate: pd.DataFrame) -> None:
        lines = [
            f"  {row.constraint}{f' of {row.of}' if row.of else ''}: {row.way_out}" for row in certificate.itertuples()
        ]
        super().__init__("\n".join([message, *lines]))
        self.message, self.certificate = message, certificate

    def __reduce__(self) -> tuple:
        """From and to other processes with its table."""
        return type(self), (self.message, self.certificate)


class ChangedError(RuntimeError):
    """A file changed while it was read; the message names it. Start the call again.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> try:
    ...     raise smg.errors.ChangedError("cells.h5ad changed while it was read.")
    ... except RuntimeError as error:
    ...     print(error)
    cells.h5ad changed while it was read.
    """


def warn(message: str) -> None:
    """Warn at the line that called the package, the same sentence once for each call.

    ``skip_file_prefixes`` of `warnings.warn` does the first since Python 3.12; we support 3.11. Here the outermost call
    of the package counts, also where a function of the user's stands in between. The second is not left to Python,
    which forgets what it has shown when any library changes its filters: a step may run in every split.
    """
    outermost = sys._getframe()
    frame: FrameType | None = outermost
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            outermost = frame
        frame = frame.f_back
    said = outermost.f_locals.setdefault(
        SAID, set()
    )  # a frame keeps names that are not its own, and goes with the call
    if message in said:
        return
    said.add(message)
    caller = outermost.f_back or outermost
    names = caller.f_globals
    registry = names.setdefault("__warningregistry__", {})
    file, line = caller.f_code.co_filename, caller.f_lineno
    warnings.warn_explicit(message, UserWarning, file, line, names.get("__name__"), registry)
