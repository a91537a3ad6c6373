"""Species, gene families and genes named by the user."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

import numpy as np

from smash_gpu.errors import NotFoundError

MADE_UNIQUE = r"(?:_ENS\w+|[-.]\d+)?$"  # the suffix appended to duplicate symbols
FAMILIES = {
    "human": {
        "mitochondrial": r"^MT-",
        "ribosomal": r"^RP(?:[SL]\d+(?:AL|A|L|X|Y\d?)?|LP[0-2]|SA)(?:P\d+)?" + MADE_UNIQUE,
        "heat_shock": r"^HSP(?:[ABDEH]\d|90)",
        "hla": r"^HLA-",
    },
    "mouse": {
        "mitochondrial": r"^mt-",
        "ribosomal": r"^Rp(?:[sl]\d+(?:al|a\d?|l|x|y\d?)?|lp[0-2]|sa)(?:-ps\d+)?" + MADE_UNIQUE,
        "heat_shock": r"^Hsp(?:[abdeh]\d|90)",
        "hla": r"^H2-",
    },
}
# Eisenberg & Levanon 2013 (the first row) and the reference genes of Vandesompele et al. 2002 (the second).
HOUSEKEEPING = [
    "C1orf43",
    "CHMP2A",
    "EMC7",
    "GPI",
    "PSMB2",
    "PSMB4",
    "RAB7A",
    "REEP5",
    "SNRPD3",
    "VCP",
    "VPS29",
    "ACTB",
    "B2M",
    "GAPDH",
    "HMBS",
    "HPRT1",
    "RPL13A",
    "SDHA",
    "TBP",
    "UBC",
    "YWHAZ",
]
MOUSE_NAMES = {"C1orf43": "4933434E20Rik", "HPRT1": "Hprt", "GPI": "Gpi1", "RAB7A": "Rab7"}
FAMILY_NAMES = (*FAMILIES["human"], "housekeeping")


def detect_species(symbols: Iterable[str]) -> str | None:
    """Return "human" if most symbols are upper case, "mouse" if most are capitalised, else None."""
    spelled = [s for s in symbols if re.search("[A-Za-z]{2}", s)]
    shares = {
        "human": np.mean([s.isupper() for s in spelled]) if spelled else 0.0,
        "mouse": np.mean([bool(re.match(r"[A-Z][a-z]|mt-", s)) for s in spelled]) if spelled else 0.0,
    }
    species = max(shares, key=shares.__getitem__)
    return species if shares[species] > 0.5 else None


def are_ensembl_ids(symbols: Collection[str]) -> bool:
    """Whether most names are Ensembl gene ids rather than symbols."""
    return bool(np.mean([bool(re.match(r"ENS[A-Z]*G\d{6}", s)) for s in symbols]) > 0.5)


def family(name: str, symbols: np.ndarray, species: str | None) -> np.ndarray:
    """Mask of the genes of one family of `FAMILY_NAMES`; all False if the species is unknown."""
    if species is None:
        return np.zeros(len(symbols), dtype=bool)
    if name == "housekeeping":
        return np.isin(symbols, [_spelled(gene, species) for gene in HOUSEKEEPING])
    pattern = re.compile(FAMILIES[species][name])
    return np.array([bool(pattern.search(s)) for s in symbols], dtype=bool)


def named(wanted: Iterable[str], names: np.ndarray, symbols: np.ndarray, what: str) -> np.ndarray:
    """Mask of the genes of a user's list, by name or by symbol.

    Raises
    ------
    KeyError
        If a gene is absent; the message suggests similar names.
    TypeError
        If the list is a string.
    """
    if isinstance(wanted, str):
        raise TypeError(f"{what}={wanted!r} is one string; pass a list of genes.")
    wanted = list(dict.fromkeys(wanted))
    known = set(names) | set(symbols)
    absent = [gene for gene in wanted if gene not in known]
    if absent:
        near = {gene: get_close_matches(gene, known, n=3) for gene in absent[:5]}
        hints = "; ".join(f"{g!r}" + (f" (did you mean {', '.join(n)}?)" if n else "") for g, n in near.items())
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise NotFoundError(f"{what}: genes not in the data: {hints}{more}.")
    return np.isin(names, wanted) | np.isin(symbols, wanted)


def _spelled(gene: str, species: str) -> str:
    return MOUSE_NAMES.get(gene, gene.capitalize()) if species == "mouse" else gene
