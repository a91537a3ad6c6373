"""A list of genes that may be ordered, and all that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from smash_gpu.data.dataset import Dataset
from smash_gpu.genes import tables as gene_tables
from smash_gpu.genes.tables import Gene
from smash_gpu.panel.classes import Level, classes_of, strata_of, summed
from smash_gpu.panel.constraints import Expression, Genes
from smash_gpu.panel.levels import crowding
from smash_gpu.panel.platforms import Platform
from smash_gpu.panel.probe_ranges import ranges
from smash_gpu.panel.request import Request


@dataclass(frozen=True)
class Order:
    """A list of genes and all that it is compared with.

    Attributes
    ----------
    entries
        The genes as the list names them, with repetitions; None for a row that names none.
    known
        The genes of the reference.
    expressed
        Counts of the reference.
    request
        The limits: those of the platform, and the user's.
    platform
        None: not given.
    existing
        Numbers of the genes of a printed panel that the list is added to.
    unavailable
        Genes that the vendor has no probes for; None: not given.
    absent_is
        The verdict on genes that the reference lacks.
    n_absent
        How many genes of the printed panel the reference lacks.
    not_applied
        Numbers of the platform that the data do not allow to check: what they are, and why.
    """

    entries: list[Gene | None]
    known: Genes
    expressed: Expression
    request: Request
    platform: Platform | None = None
    existing: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    unavailable: tuple[Gene, ...] | None = None
    absent_is: str = "fail"
    n_absent: int = 0
    not_applied: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def genes(self) -> list[Gene]:
        """The genes of the list, none twice under the same name and id."""
        return gene_tables.once(self.entries)

    @cached_property
    def places(self) -> list[list[int]]:
        """The numbers that each of ``genes`` may mean in the reference; an empty list where it lacks the gene."""
        return [self.known.all_of(gene) for gene in self.genes]

    @property
    def found(self) -> list[tuple[Gene, list[int]]]:
        """``genes`` with ``places``."""
        return list(zip(self.genes, self.places, strict=True))

    @cached_property
    def numbers(self) -> np.ndarray:
        """The number of each gene of the list that the reference holds, none twice."""
        return np.array(list(dict.fromkeys(here[0] for here in self.places if here)), dtype=int)

    @property
    def names(self) -> np.ndarray:
        """Names of ``numbers``."""
        return self.known.names[self.numbers]

    @cached_property
    def again(self) -> list[str]:
        """Names of the genes of the list that are on the printed panel already."""
        return self.known.names[self.numbers[np.isin(self.numbers, self.existing)]].astype(str).tolist()

    @cached_property
    def crowding(self) -> pd.DataFrame:
        """Transcripts per cell of the list and the printed panel together, see `levels.crowding`.

        A gene with p of the most P probe sets is seen with p / P of its counts, as in `tl.panel`.
        """
        others = np.setdiff1d(self.existing, self.numbers)
        share = np.concatenate([self._share_seen, np.ones(len(others))])
        return crowding(self.expressed, self.request, np.concatenate([self.numbers, others]), share)

    @cached_property
    def probe_sets(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Least and most probe sets of every gene of the reference, as asked for, else as the platform has them."""
        known = None if self.platform is None else self.platform.numbers.get("probe_sets")
        ends = self.request.probe_sets or (None if known is None else (int(known.low), int(known.high)))
        return None if ends is None else ranges(ends, self.known, np.zeros(len(self.known.names), dtype=bool))

    @property
    def _share_seen(self) -> np.ndarray:
        if self.probe_sets is None:
            return np.ones(len(self.numbers))
        sets = {here[0]: gene.probe_sets for gene, here in reversed(self.found) if here}
        given = np.array([sets[number] for number in self.numbers], dtype=float)
        most = np.maximum(self.probe_sets[1][self.numbers], 1)
        return np.where(np.isnan(given), 1.0, np.minimum(given / most, 1.0))

    @property
    def n_printed(self) -> int:
        """Number of genes of the printed panel, also of those that the reference lacks."""
        return len(self.existing) + self.n_absent

    @property
    def has_counts(self) -> bool:
        """Whether counts per cell are known."""
        return not self.expressed.why_no_counts


def expression_of(data: Dataset, levels: list[Level]) -> Expression:
    """Sums over the cells of every class of all label columns."""
    strata, classes = strata_of(levels, None, None), classes_of(levels)
    sums = data.stats_by(strata.code, strata.n)
    members = strata.members(len(classes.names))
    return Expression(classes, summed(sums, members), sums.pooled, data.known.why_no_counts)
