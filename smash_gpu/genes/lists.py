"""Which genes of the data a user's list means: by name, symbol or Ensembl id."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from smash_gpu.errors import NotFoundError, warn
from smash_gpu.genes import tables
from smash_gpu.genes.names import are_ensembl_ids
from smash_gpu.genes.tables import Gene
from smash_gpu.genes.vendors import is_control

if TYPE_CHECKING:
    import pandas as pd

POLICIES = ("warn", "raise")
IGNORE = "ignore"  # lists that name more genes than the data can hold
MISSING = "warn"  # what lists that are judged do about genes that the data lack
HINTS = 5  # absent genes for which similar names are looked up
PROPOSED = 3  # names for one absent gene
VERSION = re.compile(r"(?<=\d)\.\d+$")
Genes: TypeAlias = "Iterable[str | Path] | pd.DataFrame | Path"  # what a user may give as a list of genes

IdTable: TypeAlias = "Mapping[str, str] | pd.DataFrame | str | Path"  # Ensembl ids by symbol


@dataclass(frozen=True)
class GeneNames:
    """All that the genes of the data may be called by.

    Attributes
    ----------
    names
        The unique names, those of ``adata.var_names``.
    symbols
        Gene symbols; several genes may share one.
    ids
        Ensembl ids, "" where one is not known; None: not known for any.
    aliases
        Genes by other and earlier names: proposed in messages, never used.
    """

    names: np.ndarray
    symbols: np.ndarray
    ids: np.ndarray | None = None
    aliases: Mapping[str, list[str]] = field(default_factory=dict)

    def numbers(self, wanted: Genes, what: str, *, missing: str = "raise") -> np.ndarray:
        """The number of one gene per name, in the order of the list, none twice.

        Of several genes with one symbol it is the first, with a warning.

        Parameters
        ----------
        what
            What the list is, for messages.
        missing
            "raise": a gene that the data lack is an error. "warn": such genes are left out with a warning. "ignore":
            without one.

        Raises
        ------
        NotFoundError, TypeError
            If a gene is absent, or the list is one string.
        """
        genes = listed(wanted, what)
        found = [self.all_of(gene) for gene in genes]
        self._complain([gene for gene, here in zip(genes, found, strict=True) if not here], len(genes), what, missing)
        several = {gene: here for gene, here in zip(genes, found, strict=True) if len(here) > 1}
        if several:
            those = "; ".join(f"{gene}: {', '.join(self.names[here])}" for gene, here in several.items())
            warn(f"{what}: a symbol stands for several genes, and the first is used ({those}). Name the id you mean.")
        return np.array(list(dict.fromkeys(here[0] for here in found if here)), dtype=int)

    def mask(self, wanted: Genes, what: str, *, missing: str = "raise") -> np.ndarray:
        """All genes that have one of the names, symbols or ids; ``missing`` as for `numbers`.

        Raises
        ------
        NotFoundError, TypeError
            If a gene is absent, or the list is one string.
        """
        genes = listed(wanted, what)
        found = [self.all_of(gene, every=True) for gene in genes]
        self._complain([gene for gene, here in zip(genes, found, strict=True) if not here], len(genes), what, missing)
        return np.isin(np.arange(len(self.names)), list(chain.from_iterable(found)))

    def known(self, wanted: Genes, what: str) -> tuple[str, ...]:
        """The names of all genes that have one of the names, symbols or ids, in the order of the list.

        Raises
        ------
        NotFoundError, TypeError
            As `mask`.
        """
        genes = listed(wanted, what)
        self.mask(genes, what)
        numbers = chain.from_iterable(self.all_of(gene, every=True) for gene in genes)
        return tuple(str(self.names[number]) for number in dict.fromkeys(numbers))

    def all_of(self, gene: Gene, *, every: bool = False) -> list[int]:
        """The genes with this name, else this symbol, else this id; ``every``: those with any of them.

        The id that the list gives for the gene decides between several, and is used where the name is not known.
        """
        by_id = self._with_id(gene.ensembl)
        places = [by.get(gene, []) for by in self._places]
        places = [[here for here in found if here in by_id] or found for found in places]
        places += [self._with_id(gene), by_id]
        return list(dict.fromkeys(chain.from_iterable(places))) if every else next(filter(None, places), [])

    def _with_id(self, gene: str) -> list[int]:
        return self._versionless.get(VERSION.sub("", gene), []) if gene else []

    def shared_with(self, other: GeneNames) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the genes that both data sets have, here (ascending) and in ``other``; each gene once."""
        ids = [""] * len(other.names) if other.ids is None else other.ids
        places: dict[int, int] = {}
        for number, (name, symbol, ensembl) in enumerate(zip(other.names, other.symbols, ids, strict=True)):
            here = self.all_of(Gene(str(name), ensembl)) or self.all_of(Gene(str(symbol), ensembl))
            if here:
                places.setdefault(here[0], number)
        mine = np.array(sorted(places), dtype=int)
        return mine, np.array([places[number] for number in mine], dtype=int)

    def absent(self, wanted: Genes, what: str) -> tuple[Gene, ...]:
        """The genes of a list that the data lack."""
        return tuple(gene for gene in listed(wanted, what) if not self.all_of(gene))

    def not_found(self, absent: Collection[str], what: str) -> NotFoundError:
        """An error that lists the absent genes, near matches, and why they may not match."""
        hints = [f"{gene!r}{self._hint(gene, is_similar=i < HINTS)}" for i, gene in enumerate(absent)]
        return NotFoundError(f"{what}: genes not in the data: {'; '.join(hints)}.{self.why_absent(absent)}")

    @cached_property
    def _places(self) -> list[dict[str, list[int]]]:
        """Genes by name, and by symbol."""
        return [_by(self.names), {} if self.symbols is self.names else _by(self.symbols)]

    @cached_property
    def _versionless(self) -> dict[str, list[int]]:
        """Genes by Ensembl id without its version."""
        return {} if self.ids is None else _by(VERSION.sub("", gene) for gene in self.ids)

    def _complain(self, absent: Collection[str], n_wanted: int, what: str, missing: str) -> None:
        if missing not in (*POLICIES, IGNORE):
            raise ValueError(f"missing={missing!r} is not one of {', '.join(POLICIES)}.")
        if absent and missing == "raise":
            raise self.not_found(absent, what)
        if absent and missing == "warn":
            warn(
                f"{what}: {len(absent):,} of {n_wanted:,} genes left out, because the data lack them: "
                f"{self.with_hints(absent)}.{self.why_absent(absent)}"
            )

    def with_hints(self, absent: Iterable[str]) -> str:
        """The absent genes, with those of the data that differ in case only, or have the name as an alias."""
        return ", ".join(f"{gene}{self._hint(gene, is_similar=False)}" for gene in absent)

    def _hint(self, gene: str, *, is_similar: bool) -> str:
        """What may be meant: the same in another case, the gene with this alias, or ``is_similar`` a similar name."""
        if same := self._by_case.get(gene.lower()):
            return f" (did you mean {', '.join(same[:PROPOSED])}?)"
        if others := list(dict.fromkeys(self.aliases.get(gene, ()))):
            more = f" and {len(others) - PROPOSED:,} more" if len(others) > PROPOSED else ""
            has = "has" if len(others) == 1 else "have"
            return f" (did you mean {', '.join(others[:PROPOSED])}{more}, which {has} this alias?)"
        alike = get_close_matches(gene, self._known, n=PROPOSED) if is_similar else []
        return f" (did you mean {', '.join(alike)}?)" if alike else ""

    @cached_property
    def _known(self) -> list[str]:
        return list(dict.fromkeys(name for by in self._places for name in by))

    @cached_property
    def _by_case(self) -> dict[str, list[str]]:
        places = _by(name.lower() for name in self._known)
        return {name: [self._known[place] for place in found] for name, found in places.items()}

    def why_absent(self, absent: Collection[str]) -> str:
        """A sentence about ids and symbols that explains why the genes are absent; empty if it is not that."""
        if are_ensembl_ids(absent) and self.ids is None:
            return " These are Ensembl ids, which the data do not hold; add them to adata.var as a column 'gene_ids'."
        if are_ensembl_ids(self.names) and not are_ensembl_ids(absent) and self.symbols is self.names:
            return (
                " The genes of the data are Ensembl ids; pass gene_symbols= with the column of adata.var that holds "
                "the symbols."
            )
        return ""


def listed(wanted: Any, what: str) -> tuple[Gene, ...]:
    """A user's genes, none twice: a list, a Series, an index, a table with a known column, or the path of a file.

    A list may hold paths too. Entries without a name are left out with a warning, controls of a table without one.

    Raises
    ------
    TypeError
        If it is a string.
    FileNotFoundError, ValueError
        If there is no such file, or a table has no known column.
    """
    if wanted is None:
        return ()
    found = entries(wanted, what)
    unnamed = found.count(None)
    if unnamed:
        warn(f"{what}: {unnamed:,} of {len(found):,} entries hold no name and are left out.")
    return tuple(tables.once(found))


def entries(wanted: Any, what: str) -> list[Gene | None]:
    """`listed` with repetitions, and None for an entry without a name.

    Raises
    ------
    TypeError, FileNotFoundError, ValueError
        As `listed`.
    """
    import pandas as pd

    if isinstance(wanted, str):
        raise TypeError(f"{what}={wanted!r} is a string; pass a list of genes, or a pathlib.Path to a file with them.")
    if not isinstance(wanted, Iterable | Path):
        raise TypeError(f"{what}={wanted!r} is not a list; pass a list of genes.")
    if isinstance(wanted, Path):
        return _without_controls(tables.read_genes(wanted))
    if isinstance(wanted, pd.DataFrame):
        return _without_controls(tables.names_in(wanted, what))
    files = (entries(entry, what) if isinstance(entry, Path) else [_gene(entry)] for entry in wanted)
    return list(chain.from_iterable(files))


def _without_controls(genes: list[Gene | None]) -> list[Gene | None]:
    return [gene for gene in genes if gene is None or not is_control(gene)]


def _gene(entry: Any) -> Gene | None:
    if isinstance(entry, Gene):
        return entry
    (name,) = tables.texts([entry])
    return None if name is None else Gene(name)


def ids_in(var: pd.DataFrame, names: np.ndarray) -> np.ndarray | None:
    """The Ensembl id of each gene, "" where it is missing: its name, else from a column of ``var`` known by its name.

    None if there is no such column with an id.
    """
    if are_ensembl_ids(names):
        return names
    for known in tables.IDS:
        place = tables.known_column(var.columns, (known,))
        if place is None:
            continue
        ids = [one or "" for one in tables.texts(var.iloc[:, place])]
        if not any(ids):
            continue
        if known == "gene_ids" or "ens" in known or are_ensembl_ids(list(filter(None, ids))):
            return np.array(ids, dtype=object)
    return None


def ids_by_name(table: IdTable, what: str) -> dict[str, str]:
    """Ensembl ids by name, from a mapping, a table or a file, such as 10x's features.tsv.gz; of names with one id only.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or the table does not hold both.
    """
    import pandas as pd

    if isinstance(table, Mapping):
        return {str(name): str(known) for name, known in table.items()}
    frame = table if isinstance(table, pd.DataFrame) else tables.read_table(Path(table)).frame
    if tables.id_column(frame) is None:
        raise ValueError(f"{what}: no column of the table holds Ensembl ids; call it ensembl_id.")
    found: dict[str, set[str]] = {}
    for gene in filter(None, tables.names_in(frame, what)):
        found.setdefault(str(gene), set()).add(gene.ensembl)
    return {name: known.pop() for name, known in found.items() if len(known) == 1}


def _by(values: Iterable[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for number, value in enumerate(values):
        if value:
            places.setdefault(value, []).append(number)
    return places
