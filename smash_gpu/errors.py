"""Errors that callers may want to catch."""

from __future__ import annotations

import pandas as pd


class NothingLeftError(ValueError):
    """No gene passed the filters; the message holds the table of what removed them."""


class InfeasibleError(ValueError):
    """No panel of exactly N genes meets the constraints.

    Attributes
    ----------
    certificate
        A row a constraint in the way: ``constraint``, ``of`` (the class), ``asked``, ``possible`` (a bound on the best
        that can be had), ``way_out``.
    """

    def __init__(self, message: str, certificate: pd.DataFrame) -> None:
        lines = [
            f"  {row.constraint}{f' of {row.of}' if row.of else ''}: {row.way_out}" for row in certificate.itertuples()
        ]
        super().__init__("\n".join([message, *lines]))
        self.certificate = certificate


class ChangedError(RuntimeError):
    """A file was changed while it was read; the message says which."""
