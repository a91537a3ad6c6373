"""Lengths of transcripts from an annotation in GTF."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from smash_gpu.genes.tables import DAMAGED

if TYPE_CHECKING:
    import pandas as pd


CHROMOSOME, FEATURE, START, END, ATTRIBUTES = 0, 2, 3, 4, 8  # columns of GTF, from 0
COLUMNS = 9
ATTRIBUTE = re.compile(r'(gene_id|transcript_id|gene_name) "([^"]*)"')
GTF = (".gtf", ".gtf.gz")


def is_gtf(path: Path) -> bool:
    """Whether the name of the file is that of a GTF file."""
    return path.name.lower().endswith(GTF)


def transcript_lengths(path: Path) -> pd.DataFrame:
    """The length of every gene's longest transcript, the sum of its exons in bases.

    Returns
    -------
    One row per gene: ``gene_name`` (missing where the file has none), ``gene_id``, ``length``.

    Raises
    ------
    ValueError
        If the file holds no exons with genes and transcripts.
    """
    import pandas as pd

    bases: dict[tuple[str, str, str], int] = defaultdict(int)  # a transcript may stand on both X and Y
    names: dict[str, str | None] = {}
    for number, line in enumerate(_lines(path), start=1):
        cells = line.split("\t")
        if len(cells) < COLUMNS or cells[FEATURE] != "exon":
            continue
        known = dict(ATTRIBUTE.findall(cells[ATTRIBUTES]))
        if "gene_id" in known and "transcript_id" in known:
            names[known["gene_id"]] = known.get("gene_name")
            where = known["gene_id"], known["transcript_id"], cells[CHROMOSOME]
            bases[where] += _length(cells[START], cells[END], f"{path}, line {number}")
    if not bases:
        raise ValueError(f"{path} holds no exons with gene_id and transcript_id; give an annotation in GTF.")
    longest: dict[str, int] = {}
    for (gene, *_), length in bases.items():
        longest[gene] = max(length, longest.get(gene, 0))
    return pd.DataFrame(
        {"gene_name": [names[gene] for gene in longest], "gene_id": list(longest), "length": longest.values()}
    )


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            yield from lines
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise ValueError(f"{path} {DAMAGED}.") from None


def _length(start: str, end: str, where: str) -> int:
    try:
        return int(end) - int(start) + 1
    except ValueError:
        raise ValueError(f"{where}: {start!r} to {end!r} are no positions; give an annotation in GTF.") from None
