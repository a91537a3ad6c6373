"""All genes that are on the slide: those of the existing panel, in the data or not, and those chosen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from smash_gpu.genes.lists import GeneNames, listed
from smash_gpu.genes.tables import Gene
from smash_gpu.panel.result import Design

EXISTING, CHOSEN = "existing", "chosen"
SETS = "probe_sets"
COLUMNS = ["name", "symbol", "ensembl_id", "origin", "in_data", SETS]


def slide_table(design: Design, genes: pd.DataFrame) -> pd.DataFrame:
    """One row per gene on the slide, the existing ones first; ``genes`` is the table of the chosen ones."""
    rows = [*_existing(design), *_chosen(design, genes)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"in_data": bool, SETS: float})


def _existing(design: Design) -> Iterator[tuple]:
    known, seen = design.problem.genes, set()
    for gene in listed(design.problem.request.extend, "extend"):
        here = next(iter(known.all_of(gene)), None)
        if here is None:
            yield str(gene), str(gene), gene.ensembl, EXISTING, False, gene.probe_sets
        elif here not in seen:
            seen.add(here)
            yield *_names(known, here, gene), EXISTING, True, gene.probe_sets


def _chosen(design: Design, genes: pd.DataFrame) -> Iterator[tuple]:
    sets = genes[SETS] if SETS in genes else [np.nan] * len(genes)
    for here, n in zip(design.panel, sets, strict=True):
        yield *_names(design.problem.genes, here, Gene("")), CHOSEN, True, n


def _names(known: GeneNames, here: int, gene: Gene) -> tuple[str, str, str]:
    """Name and symbol, and the id in the data or else in the list."""
    own = "" if known.ids is None else known.ids[here]
    return known.names[here], known.symbols[here], own or gene.ensembl
