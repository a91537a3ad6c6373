"""Gene filters: rules on group statistics, and how many genes each rule removes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from smash_gpu.errors import warn
from smash_gpu.genes import names as gene_names

if TYPE_CHECKING:
    import pandas as pd

MIN_FRACTION = 0.30
MAX_FRACTION = 0.75
MAX_GROUPS = 0.50
SPECIES = ("auto", *gene_names.FAMILIES)


def expressed(fraction: np.ndarray, min_fraction: float = MIN_FRACTION) -> np.ndarray:
    """Genes expressed by at least ``min_fraction`` of the cells of at least one group (paper, Methods: > 30 %).

    Parameters
    ----------
    fraction
        Share of the cells of each group that express the gene; groups × genes.
    """
    return np.any(fraction >= min_fraction, axis=0)


def ubiquitous(fraction: np.ndarray, max_fraction: float = MAX_FRACTION, max_groups: float = MAX_GROUPS) -> np.ndarray:
    """Genes expressed by at least ``max_fraction`` of the cells in at least ``max_groups`` of the groups (paper: 75 %,
    50 %).

    At least two groups are required: with two groups, one is already half, and its best markers would be removed.
    """
    common = fraction >= max_fraction
    return (common.mean(axis=0) >= max_groups) & (common.sum(axis=0) > 1)


def check_families(families: Iterable[str], species: str, *, what: str) -> None:
    """Check the names of families and species; ``what`` is the user's option for the families.

    Raises
    ------
    ValueError
        If one is unknown.
    """
    wrong = [name for name in families if name not in gene_names.FAMILY_NAMES]
    if wrong:
        raise ValueError(f"{what}={wrong} are unknown; choose from {', '.join(gene_names.FAMILY_NAMES)}.")
    if species not in SPECIES:
        raise ValueError(f"species={species!r} is not one of {', '.join(SPECIES)}.")


def family_rules(families: Iterable[str], symbols: np.ndarray, species: str, *, what: str) -> dict[str, np.ndarray]:
    """The genes that each family removes, by the name of the rule, e.g. "heat shock genes".

    Where the species cannot be found in the symbols, only mitochondrial genes are known, with a warning.

    Parameters
    ----------
    species
        "human", "mouse" or "auto".
    what
        Name of the user's option, for the warning.
    """
    families = tuple(families)
    known = gene_names.detect_species(symbols) if species == "auto" else species
    if families and gene_names.are_ensembl_ids(symbols):
        warn(
            "the gene names are Ensembl ids, so no gene family was removed; pass gene_symbols= with the column of "
            "adata.var that holds the symbols."
        )
    elif families and known is None:
        warn(
            "the gene names look neither human (ACTB) nor mouse (Actb), so of the gene families only mitochondrial "
            f"genes (MT-, mt:) are known; pass species='human' or 'mouse', or {what}=() to remove none."
        )
    return {f"{gene_names.in_words(name)} genes": gene_names.family(name, symbols, known) for name in families}


def ledger(rules: dict[str, np.ndarray], keep: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """Apply removal rules in order.

    Parameters
    ----------
    rules
        Mask of the genes that each rule removes.
    keep
        Mask of genes that are exempt from all rules.

    Returns
    -------
    The mask of remaining genes, and one row per rule: ``rule``, ``matched`` (genes it matches on its own), ``removed``
    (genes it removes after the earlier rules), ``left``.
    """
    import pandas as pd

    left = np.ones_like(keep)
    rows = []
    for rule, hit in rules.items():
        gone = hit & left & ~keep
        left &= ~gone
        rows.append((rule, int(hit.sum()), int(gone.sum()), int(left.sum())))
    counts = dict.fromkeys(("matched", "removed", "left"), np.int64)
    return left, pd.DataFrame(rows, columns=["rule", *counts]).astype(counts)
