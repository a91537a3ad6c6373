"""Lists and tables of genes as people have them: known columns, and text files of vendors, R, scanpy and Excel."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from smash_gpu.genes import vendors
from smash_gpu.genes.names import ENSEMBL, are_ensembl_ids

if TYPE_CHECKING:
    import pandas as pd

# How a column is called that holds the names of genes, and one with Ensembl ids; in order of preference.
NAMES = (
    *("gene", "genes", "gene_name", "gene_names", "gene_symbol", "gene_symbols", "name", "names", "symbol", "symbols"),
    *("feature_name", "hgnc_symbol", "mgi_symbol", "hugo_symbol", "external_gene_name", "display_name", "target"),
)
IDS = ("gene_ids", "gene_id", "ensembl_id", "ensembl_ids", "ensembl", "ensembl_gene_id", "feature_id", "ensg")
PROBE_SETS = ("probe_sets", "num_probesets", "num_probe_sets", "n_probe_sets", "probesets", "gene_coverage")
UTF16 = (b"\xff\xfe", b"\xfe\xff")
CONTROL = {*range(9), *range(14, 27)}  # bytes that no text holds
DAMAGED = "is a damaged gzip file; copy or download it again"
AS_LIST = "give one gene per line, or a table with a column 'name'"


class Gene(str):
    """The name of a gene in a user's list, with the Ensembl id ("") and the probe sets (NaN) that the list gives."""

    ensembl: str
    probe_sets: float

    def __new__(cls, name: str, ensembl: str | None = None, probe_sets: float = np.nan) -> Self:
        """``name`` with the attributes."""
        gene = super().__new__(cls, name)
        gene.ensembl, gene.probe_sets = ensembl or "", probe_sets
        return gene

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart: two genes may share a name."""
        return str(self), self.ensembl


@dataclass(frozen=True)
class GeneTable:
    """The rows of a text file.

    Attributes
    ----------
    columns
        Names of the columns; None: the file has no header.
    rows
        Cells of each row, as text, all of one width.
    """

    columns: list[str] | None
    rows: list[list[str]]

    @property
    def frame(self) -> pd.DataFrame:
        """The table, all of it text, missing where a cell is empty."""
        import pandas as pd

        frame = pd.DataFrame(self.rows, columns=self.columns, dtype=object)
        return frame.mask(frame == "")

    @property
    def values(self) -> pd.DataFrame:
        """The table with numbers in the columns that hold numbers only."""
        return self.frame.apply(_as_numbers)


def read_table(path: Path) -> GeneTable:
    """A list of genes, or a table with tabs, semicolons or commas between its columns; lines with # are left out.

    Of JSON it is the panel of a Xenium run (gene_panel.json), without its controls, or a list of names.

    Raises
    ------
    ValueError
        If it is not text, or holds no genes.
    """
    text = _text(path)
    if text.lstrip().startswith(("{", "[")):
        return _from_json(text, path)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    delimiter = next((mark for mark in "\t;" if lines and mark in lines[0]), ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    rows = vendors.after_preamble(rows)
    width = max(map(len, rows), default=0)
    if len(rows) > 1 and all(len(row) == len(rows[0]) + 1 and row[-1] for row in rows[1:]):
        rows[0].insert(0, "")  # R leaves out the header of row names
    rows = [row + [""] * (width - len(row)) for row in rows]
    if not rows:
        raise ValueError(f"{path} holds no genes; {AS_LIST}.")
    if known_column(rows[0], (*NAMES, *IDS)) is not None:
        return GeneTable(rows[0], rows[1:])
    if len(rows) == 1:
        return GeneTable(None, [[cell] for cell in rows[0]])  # a list on one line
    holds_values = any(_is_number(cell) or ENSEMBL.match(cell) for cell in rows[0])
    return GeneTable(None, rows) if width == 1 or holds_values else GeneTable(rows[0], rows[1:])


def read_genes(path: Path) -> list[Gene | None]:
    """The genes in a text file, None for a row without: one per line, or those of a table, see `names_in`.

    Raises
    ------
    ValueError
        If it is not text, or holds no genes.
    """
    found = names_in(read_table(path).frame, str(path))
    if not any(found):
        raise ValueError(f"{path} holds no genes; {AS_LIST}.")
    return found


def once(genes: Iterable[Gene | None]) -> list[Gene]:
    """The genes without those named before, and without rows that name none."""
    return list({gene.key: gene for gene in genes if gene is not None}.values())


def names_in(table: pd.DataFrame, what: str, *, otherwise: int | None = None) -> list[Gene | None]:
    """The gene of each row: its name with its Ensembl id, or its id alone, or None.

    The names are those in the column that is called name, gene, symbol or the like, else in the index (in a file: a
    first column of words without a name), else in the column ``otherwise``; of a table without a header in the first
    column of words.

    Raises
    ------
    ValueError
        If no column holds genes; the message lists the columns.
    """
    import pandas as pd

    ids = id_column(table)
    column = _name_column(table, ids)
    names = None if column is None else texts(table.iloc[:, column])
    if names is None and pd.api.types.infer_dtype(table.index) == "string":
        names = texts(table.index)
    if names is None and ids is None and otherwise is not None:
        names = texts(table.iloc[:, otherwise])
    if names is None and ids is None:
        raise ValueError(f"{what}: {_no_known(table.columns)}")
    by_id = [None] * len(table) if ids is None else texts(table.iloc[:, ids])
    rows = zip(by_id if names is None else names, by_id, _probe_sets(table), strict=True)
    return [Gene(first, known, sets) if (first := name or known) else None for name, known, sets in rows]


def id_column(table: pd.DataFrame) -> int | None:
    """The place of the column with Ensembl ids: by its name, else by what it holds."""
    known = known_column(table.columns, IDS)
    here = (i for i in range(table.shape[1]) if are_ensembl_ids(list(filter(None, texts(table.iloc[:, i])))))
    return next(here, None) if known is None else known


def _name_column(table: pd.DataFrame, ids: int | None) -> int | None:
    import pandas as pd

    words = (i for i in range(table.shape[1]) if i != ids and not all(map(_is_number, table.iloc[:, i].dropna())))
    if isinstance(table.columns, pd.RangeIndex):
        return next(words, None)
    known = known_column([name if i != ids else "" for i, name in enumerate(table.columns)], NAMES)
    is_index = known is None and table.shape[1] > 1 and str(table.columns[0]) == "" and next(words, None) == 0
    return 0 if is_index else known


def texts(values: Iterable[Any]) -> list[str | None]:
    """Each value as text without spaces around it; None where it is missing or empty."""
    import pandas as pd

    return [None if pd.isna(value) else str(value).strip() or None for value in values]


def known_column(columns: Iterable[Any], known: tuple[str, ...]) -> int | None:
    """The place of the first of the ``known`` columns, however it is spelled: "Gene Symbol" is "gene_symbol"."""
    spelled = [re.sub(r"[^a-z0-9]+", "_", str(column).lower()).strip("_") for column in columns]
    return next((spelled.index(word) for word in known if word in spelled), None)


def _from_json(text: str, path: Path) -> GeneTable:
    """A panel or list in JSON."""
    try:
        table = vendors.json_rows(json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} begins as JSON and is not: {error}. Copy or download it again, or {AS_LIST}."
        ) from None
    if table is None:
        raise ValueError(
            f"{path} is JSON, but neither the gene_panel.json of a Xenium run (payload, targets) nor a list of names; "
            f"{AS_LIST}."
        )
    if not table[1]:
        raise ValueError(f"{path} is JSON and holds no genes.")
    return GeneTable(*table)


def _probe_sets(table: pd.DataFrame) -> list[float]:
    import pandas as pd

    place = known_column(table.columns, PROBE_SETS)
    if place is None:
        return [np.nan] * len(table)
    return pd.to_numeric(table.iloc[:, place], errors="coerce").astype(float).tolist()


def _no_known(columns: Iterable[Any]) -> str:
    listed = ", ".join(str(column) or "(no name)" for column in columns)
    return f"the table has the columns {listed}; none of them is called name, gene, symbol or the like. Rename one."


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        raw = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    except (EOFError, OSError, zlib.error):
        raise ValueError(f"{path} {DAMAGED}.") from None
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-16" if raw.startswith(UTF16) else "utf-8-sig")
    if raw.startswith(b"PK\x03\x04"):
        raise ValueError(f"{path} is an Excel workbook or a zip file; save the sheet with the genes as CSV.")
    if CONTROL & set(raw):
        raise ValueError(f"{path} is not a text file; {AS_LIST}.")
    return raw.decode("cp1252", errors="replace")  # as Excel saves CSV in the West


def _is_number(cell: Any) -> bool:
    with suppress(ValueError):
        return bool(np.isfinite(float(cell)))  # a gene may be called nan
    return False


def _as_numbers(column: pd.Series) -> pd.Series:
    import pandas as pd

    known = column.mask(column.isin(["NA", "NaN", "nan", "N/A", "-"]))
    try:
        return pd.to_numeric(known)
    except (ValueError, TypeError):
        return column
