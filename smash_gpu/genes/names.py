"""Species, gene families and Ensembl ids, by the spelling of gene names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

import numpy as np

MADE_UNIQUE = r"(?:_ENS\w+|[-.]\d+)?$"  # the suffix appended to duplicate symbols
ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6}")
WORD = re.compile("[A-Za-z]{2}")
LIKE_MOUSE = re.compile("[A-Z][a-z]|mt-")
REMEMBERED = 32  # answers about the same genes: a selection is repeated in every split
# MT-CO1 of human, mt-Co1 of mouse, Mt-co1 of rat, mt:CoI of fly, and with the dots and underscores of R and Seurat.
MITOCHONDRIAL = re.compile(r"^mt[-._:]", re.IGNORECASE)
FAMILIES = {  # R writes HLA.A; RT1 is the MHC of rat
    "human": {
        "ribosomal": r"^RP(?:[SL]\d+(?:AL|A|L|X|Y\d?)?|LP[0-2]|SA)(?:P\d+)?" + MADE_UNIQUE,
        "heat_shock": r"^HSP(?:[ABDEH]\d|90)",
        "hla": r"^HLA[-._]",
    },
    "mouse": {
        "ribosomal": r"^Rp(?:[sl]\d+(?:al|a\d?|l|x|y\d?)?|lp[0-2]|sa)(?:[-.]ps\d+)?" + MADE_UNIQUE,
        "heat_shock": r"^Hsp(?:[abdeh]\d|90)",
        "hla": r"^(?:H2|RT1)[-._]",
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
MOUSE_NAMES = {  # of mouse where rat has the human symbol; R puts an X before a digit
    "C1orf43": ("4933434E20Rik", "X4933434E20Rik"),
    "HPRT1": ("Hprt",),
    "GPI": ("Gpi1",),
    "RAB7A": ("Rab7",),
}
FAMILY_NAMES = ("mitochondrial", *FAMILIES["human"], "housekeeping")


def detect_species(symbols: Iterable[str]) -> str | None:
    """Return "human" if most symbols are upper case, "mouse" (or rat) if most are capitalised, else None."""
    return _species_of(tuple(symbols))


@lru_cache(REMEMBERED)
def _species_of(symbols: tuple[str, ...]) -> str | None:
    spelled = [s for s in symbols if WORD.search(s)]
    shares = {
        "human": np.mean([s.isupper() for s in spelled]) if spelled else 0.0,
        "mouse": np.mean([bool(LIKE_MOUSE.match(s)) for s in spelled]) if spelled else 0.0,
    }
    species = max(shares, key=shares.__getitem__)
    return species if shares[species] > 0.5 else None


def are_ensembl_ids(symbols: Collection[str]) -> bool:
    """Whether most names are Ensembl gene ids rather than symbols."""
    return _are_ids(tuple(symbols))


@lru_cache(REMEMBERED)
def _are_ids(symbols: tuple[str, ...]) -> bool:
    return len(symbols) > 0 and bool(np.mean([bool(ENSEMBL.match(s)) for s in symbols]) > 0.5)


def in_words(name: str) -> str:
    """One of `FAMILY_NAMES` as sentences have it, e.g. "heat shock"."""
    return "HLA" if name == "hla" else name.replace("_", " ")


def family(name: str, symbols: np.ndarray, species: str | None) -> np.ndarray:
    """Mask of the genes of one family of `FAMILY_NAMES`; of an unknown species only mitochondrial genes are known."""
    if species is None and name != "mitochondrial":
        return np.zeros(len(symbols), dtype=bool)
    return _family_of(name, tuple(symbols), species).copy()


@lru_cache(REMEMBERED)
def _family_of(name: str, symbols: tuple[str, ...], species: str | None) -> np.ndarray:
    if name == "housekeeping":
        return np.isin(symbols, [one for gene in HOUSEKEEPING for one in _spelled(gene, str(species))])
    pattern = MITOCHONDRIAL if name == "mitochondrial" else re.compile(FAMILIES[str(species)][name])
    return np.array([bool(pattern.search(s)) for s in symbols], dtype=bool)


def _spelled(gene: str, species: str) -> list[str]:
    return [gene.capitalize(), *MOUSE_NAMES.get(gene, ())] if species == "mouse" else [gene]
