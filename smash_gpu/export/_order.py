"""The chosen genes with what every vendor asks for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated.columns import numbers_of
from smash_gpu.annotated.ensembl import ensembl_ids
from smash_gpu.genes.lists import IdTable

SETS = "probe_sets"


def ordered(
    adata: AnnData,
    key: str,
    *,
    ensembl_key: str | None,
    ensembl_table: IdTable | None,
    probe_sets_key: str | None = None,
) -> pd.DataFrame:
    """The table of the panel with ``ensembl_id`` ("" where it is not known) and ``probe_sets`` (NaN) of every gene.

    The number of probe sets is that of ``probe_sets_key``, else that of the design.

    Raises
    ------
    NotFoundError, ValueError
        If no panel was designed yet, or a column is missing or holds no numbers.
    """
    table = get.panel_table(adata, key=key)
    ids = ensembl_ids(adata, table["name"], table["symbol"], key=ensembl_key, table=ensembl_table)
    if probe_sets_key is not None:
        sets = pd.Series(numbers_of(adata.var, probe_sets_key, "probe_sets_key"), index=adata.var_names.astype(str))
        table[SETS] = sets.loc[table["name"]].to_numpy()
    elif SETS not in table:
        table[SETS] = np.nan
    return table.assign(ensembl_id=ids)


def whole(number: float) -> str:
    """A number without ".0"; "" if it is missing."""
    return "" if pd.isna(number) else f"{number:g}"


def three_digits(count: float) -> str:
    """Three significant digits, without an exponent; "" if it is missing."""
    return "" if pd.isna(count) else np.format_float_positional(count, precision=3, fractional=False, trim="-")


def counts(table: pd.DataFrame, column: str) -> list[str]:
    """A column of counts per cell in `three_digits`; "" throughout where the data held logarithms."""
    return [three_digits(count) for count in table[column]] if column in table else [""] * len(table)
