"""One sheet per order: what each gene is there for, how bright it is, and what could take its place."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.export._order import SETS, counts, ordered, whole
from smash_gpu.genes.lists import IdTable

REASONS = {"must": "required", "wanted": "wanted", "spare": "taken since no others were left", "": "chosen"}
SUFFIXES = (".csv", ".xlsx")


def design_sheet(
    adata: AnnData,
    path: str | Path,
    *,
    ensembl_key: str | None = None,
    ensembl_table: IdTable | None = None,
    probe_sets_key: str | None = None,
    key: str = slots.PANEL,
) -> None:
    """Write one row per chosen gene with all that an order is discussed by, as a CSV file or an Excel workbook.

    Columns: ``Rank``, ``Gene``, ``Ensembl ID``, ``Priority``, ``Reason``, ``Pairs`` (of classes that need the gene
    most, with the share of its use), ``Counts per cell in brightest class``, ``Brightest class``, ``Probe sets``,
    ``Substitute``, ``Next best``. A workbook also holds all genes on the slide and the options of the design.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    path
        File to write; its name ends in .csv or .xlsx (which needs openpyxl).
    ensembl_key, ensembl_table, probe_sets_key
        Where Ensembl ids and numbers of probe sets are, as for `xenium`.
    key
        Name of the slots of the panel.

    Returns
    -------
    None. Writes one row per gene, in the order of choice; counts are raw counts per cell, to three significant digits.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet, or a column is not in ``adata.var``.
    ValueError
        If the name of the file ends otherwise.
    ImportError
        If openpyxl is not installed.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> adata = smg.datasets.planted()
    >>> adata.var["ensembl"] = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    >>> smg.tl.panel(adata, "cell_type", n_genes=3, include=["NOISE9"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     smg.export.design_sheet(adata, f"{folder}/order.csv", ensembl_key="ensembl")
    ...     print(pathlib.Path(folder, "order.csv").read_text().splitlines()[1][:42])
    1,NOISE9,ENSG00000000009,must,required: re
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path.name}: a design sheet is a .csv or .xlsx file; give it such a name.")
    if path.suffix.lower() == ".xlsx" and find_spec("openpyxl") is None:
        raise ImportError(f"{path.name}: an Excel workbook needs openpyxl: pip install openpyxl, or write a .csv file.")
    where: dict[str, Any] = {
        "ensembl_key": ensembl_key,
        "ensembl_table": ensembl_table,
        "probe_sets_key": probe_sets_key,
    }
    table = _rows(ordered(adata, key, **where), get.panel_table(adata, "purposes", key=key))
    if path.suffix.lower() == ".csv":
        table.to_csv(path, index=False, lineterminator="\n")
        return
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        table.to_excel(book, sheet_name="Panel", index=False)
        get.panel_table(adata, "slide", key=key).to_excel(book, sheet_name="On the slide", index=False)
        _options(adata, key).to_excel(book, sheet_name="Options", index=False)


def _rows(order: pd.DataFrame, purposes: pd.DataFrame) -> pd.DataFrame:
    pairs = [f"{row.class_a} | {row.class_b} ({row.share:.0%})" for row in purposes.itertuples()]
    by_gene = pd.Series(pairs, dtype=object).groupby(purposes["name"].to_numpy()).agg("; ".join)
    reasons = (
        REASONS[priority] + (f": resolves {pair}" if pair else "")
        for priority, pair in zip(order["priority"], order.get("resolves", [""] * len(order)), strict=True)
    )
    return pd.DataFrame(
        {
            "Rank": order["rank"],
            "Gene": order["symbol"],
            "Ensembl ID": order["ensembl_id"],
            "Priority": order["priority"],
            "Reason": list(reasons),
            "Pairs": by_gene.reindex(order["name"]).fillna("").to_numpy(),
            "Counts per cell in brightest class": counts(order, "max_counts"),
            "Brightest class": order.get("max_class", ""),
            "Probe sets": [whole(n) for n in order[SETS]],
            "Substitute": order.get("substitute", ""),
            "Next best": order["next_best"],
        }
    )


def _options(adata: AnnData, key: str) -> pd.DataFrame:
    options = slots.recorded(adata, key, "panel")
    return pd.DataFrame({"option": list(options), "value": [str(value) for value in options.values()]})
