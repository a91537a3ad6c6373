"""Gene names and labels that do not match between files, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from smash_gpu.genes.names import are_ensembl_ids, detect_species

FEWEST_IN_COMMON = 0.5
MIN_SHARE = 0.3  # share of the genes left out that a change must match to be reported as the reason
EXAMPLES = 5
ENSEMBL_SPECIES = {"ENSG": "human", "ENSMUSG": "mouse", "ENSRNOG": "rat", "ENSDARG": "zebrafish"}
VERSION = r"(?<=\d)\.\d+$"
CHANGES: dict[str, Callable[[pd.Index], pd.Index]] = {
    "only one has names with version suffixes: adata.var_names = "
    r"adata.var_names.str.replace(r'\.\d+$', '', regex=True)": lambda names: names.str.replace(VERSION, "", regex=True),
    "upper and lower case differ: adata.var_names = adata.var_names.str.upper()": lambda names: names.str.upper(),
    "spaces, dashes, dots or underscores differ": lambda names: names.str.replace(r"[\s\-._]", "", regex=True),
}


def differences(genes: Mapping[str, pd.Index], common: pd.Index, tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """One line per file with genes that are not in all files: how many, examples, and a possible reason.

    Parameters
    ----------
    genes
        Names by file.
    common
        Names present in all files.
    tables
        ``var`` by file, searched for other kinds of names.
    """
    left_out = {name: own.difference(common, sort=False) for name, own in genes.items()}
    (first, theirs), *_ = left_out.items()
    for name, own in left_out.items():
        if len(own):
            line = f"  {name}: {len(own):,} of {len(genes[name]):,} genes, e.g. {', '.join(own[:EXAMPLES])}"
            reason = "" if name == first else _reason(own, theirs, tables[name], first)
            yield f"{line}{reason}"


def foreign(genes: Mapping[str, pd.Index]) -> str:
    """The species of each file, from its gene names, if known and not all the same; else empty."""
    species = {name: found for name, own in genes.items() if (found := _species(own))}
    return ", ".join(f"{name} {found}" for name, found in species.items()) if len(set(species.values())) > 1 else ""


def alike(labels: Mapping[str, pd.Series]) -> str:
    """Labels of different files that differ only in case, spaces and dashes."""
    spelled: dict[str, dict[str, str]] = {}
    for name, column in labels.items():
        for label in map(str, column.dropna().unique()):
            spelled.setdefault(re.sub(r"[\s_\-]+", " ", label).strip().casefold(), {}).setdefault(label, name)
    apart = [found for found in spelled.values() if len(found) > 1 and len(set(found.values())) > 1]
    return "; ".join(" and ".join(f"{label!r} ({name})" for label, name in found.items()) for found in apart)


def _reason(own: pd.Index, theirs: pd.Index, table: pd.DataFrame, other: str) -> str:
    """Why the names left out of two files do not match, and how to fix it; empty if unknown."""
    if not len(theirs):
        return ""
    if are_ensembl_ids(own) != are_ensembl_ids(theirs):
        kinds = ("Ensembl ids", "symbols") if are_ensembl_ids(own) else ("symbols", "Ensembl ids")
        return f". These are {kinds[0]}, but those of {other} are {kinds[1]}: {_column_with(theirs, table)}"
    for why, change in CHANGES.items():
        if _share(change(own), change(theirs)) >= MIN_SHARE:
            return f". Compared with {other}, {why}"
    return ""


def _column_with(theirs: pd.Index, table: pd.DataFrame) -> str:
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    shares = {name: _share(pd.Index(table[name].dropna().astype(str)), theirs) for name in texts}
    best = max(shares, key=shares.__getitem__, default=None)
    if best is None or shares[best] < MIN_SHARE:
        return "rename the genes in one of the files"
    return f"adata.var_names = adata.var[{best!r}].astype(str); adata.var_names_make_unique()"


def _share(own: pd.Index, theirs: pd.Index) -> float:
    own, theirs = own.unique(), theirs.unique()
    return len(own.intersection(theirs)) / max(min(len(own), len(theirs)), 1)


def _species(names: pd.Index) -> str | None:
    if are_ensembl_ids(names):
        prefixes, counts = np.unique(names.str.extract(r"^(ENS[A-Z]*G)\d", expand=False).dropna(), return_counts=True)
        return ENSEMBL_SPECIES.get(prefixes[counts.argmax()])
    return detect_species(names)
