"""Which genes a panel may hold, which come first, and the limits on sums over the panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.annotated.columns import numbers_of
from smash_gpu.data.stats import GroupStats
from smash_gpu.errors import warn
from smash_gpu.genes import filters as gene_filters
from smash_gpu.genes.lists import IGNORE, GeneNames
from smash_gpu.genes.values import PerGene, of_genes
from smash_gpu.panel import availability, quotas
from smash_gpu.panel.classes import Classes
from smash_gpu.panel.probe_ranges import ranges
from smash_gpu.panel.request import ANY, MUST, ORDINARY, OUT, TIERS, WANTED, Request
from smash_gpu.runtime.words import join_names

TRANSCRIPTS, COST = "transcripts per cell", "cost"
LEAST_LIMIT = 1e-12  # stands for a limit of 0, which shares cannot be taken of


@dataclass(frozen=True)
class Genes(GeneNames):
    """All that the genes may be called by, and their annotation table."""

    table: pd.DataFrame = field(default_factory=pd.DataFrame)

    def column(self, given: str | PerGene, what: str, *, missing: str = "warn") -> np.ndarray:
        """A numeric column of the annotation, or the numbers of a user's table; NaN where there is none."""
        if isinstance(given, str):
            return numbers_of(self.table, given, what)
        return of_genes(self, given, what, missing=missing)


@dataclass(frozen=True)
class Caps:
    """Sums over a panel that may not exceed a limit.

    Attributes
    ----------
    what, of
        The quantity of each row, and the class in which it is counted ("" for the whole panel), or the quota's name.
    load
        What each gene adds; rows × genes.
    limit
        Of each row.
    size
        Number of genes of the panel and the existing one. A quota of at least k genes is a row that counts all other
        genes, with the limit ``size − k``.
    """

    what: np.ndarray
    of: np.ndarray
    load: np.ndarray
    limit: np.ndarray
    size: int = 0

    def used(self, panel: np.ndarray) -> np.ndarray:
        """The sum over a panel in each row."""
        return self.load[:, panel].sum(axis=1)

    @property
    def is_quota(self) -> np.ndarray:
        """Mask of the rows that count genes of a group."""
        return np.isin(self.what, (quotas.LEAST, quotas.MOST))

    @property
    def unit(self) -> np.ndarray:
        """What is 1 when loads are shares of a limit: the limit, or a small number where it is 0."""
        return np.where(self.limit > 0, self.limit, np.where(self.is_quota, 1.0, LEAST_LIMIT))

    def of_rows(self, rows: np.ndarray) -> Caps:
        """Only the numbered or marked rows."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ("what", "of", "load", "limit")})

    def as_asked(self, rows: Any, sums: Any) -> Any:
        """Sums or limits of rows as the user counts: for a quota of at least k, genes of the group, not other genes."""
        return np.where(self.what[rows] == quotas.LEAST, self.size - sums, sums)


@dataclass(frozen=True)
class Candidates:
    """The tier of every gene, the existing panel, the genes each rule matches, and a table of the counts.

    ``uncapped`` is the tier without upper limits on counts, ``groups`` the genes of each quota.
    """

    tier: np.ndarray
    uncapped: np.ndarray
    existing: np.ndarray
    hits: Mapping[str, np.ndarray]
    ledger: pd.DataFrame
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)


def candidates(
    request: Request,
    known: Genes,
    expressed: Expression,
    mask: np.ndarray | None = None,
    scored: np.ndarray | None = None,
) -> Candidates:
    """Apply the rules for single genes; genes in ``include`` are exempt from all of them.

    Raises
    ------
    KeyError, ValueError
        If a gene or column is unknown, or the lists contradict each other.
    """
    tier = np.full(len(known.names), ORDINARY)
    for name, word in TIERS.items():
        tier[known.numbers([g for g, p in request.priorities.items() if p == name], "priorities")] = word
    tier[known.numbers(request.include, "include")] = MUST
    existing = availability.existing(request, known)
    excluded = known.mask(request.exclude, "exclude")
    hits = {"excluded by the user": excluded} if excluded.any() else {}
    twice = np.flatnonzero((tier == MUST) & excluded)
    if len(twice):
        raise ValueError(f"include and exclude both name {', '.join(known.names[twice])}; remove from one of them.")
    off_target = None if request.off_target is None else known.column(request.off_target, "off_target", missing=IGNORE)
    hits |= availability.rules(request, known, tier == MUST, off_target)
    if mask is not None:
        hits["not in mask_var"] = ~mask
    if scored is not None:
        hits["no candidate of the model (weights)"] = ~scored
    hits |= gene_filters.family_rules(request.exclude_families, known.symbols, request.species, what="exclude_families")
    low = {}
    for what, values, ends in (
        ("mean counts per cell", expressed.mean, request.mean_counts),
        ("largest class mean of counts", expressed.largest, request.max_counts),
    ):
        if ends != ANY:
            hits[_outside(what, ends)] = ~_inside(values(), ends)
            low[_outside(what, ends)] = values() < ends[0]
    for column, ends in request.limits.items():
        hits[_outside(column, ends)] = ~_inside(known.column(column, "limits"), ends)
    if request.probe_sets is not None:
        least, most = ranges(request.probe_sets, known, tier == MUST)
        hits["fewer probe sets than the least"] = most < least
    if request.positive_only:
        hits["stands out by low expression"] = ~expressed.stands_out
    left, ledger = gene_filters.ledger(hits, tier == MUST)
    _note_wanted(known.names, (tier == WANTED) & ~left, hits)
    left_uncapped = (tier == MUST) | ~np.any([*(hits | low).values(), np.zeros_like(left)], axis=0)
    tier, uncapped = (np.where(kept, tier, OUT) for kept in (left, left_uncapped))
    tier[existing] = uncapped[existing] = OUT
    groups = quotas.members(request.quotas, known, request.species)
    return Candidates(tier, uncapped, existing, hits, ledger, groups)


@dataclass(frozen=True)
class Expression:
    """Sums over the cells of each class, and of all cells that have a class; ``why_no_counts`` as in `Known`."""

    classes: Classes
    stats: GroupStats
    pooled: GroupStats
    why_no_counts: str = ""

    def mean(self) -> np.ndarray:
        """Mean counts per cell of every gene, over all cells."""
        self._need_counts("mean_counts")
        return self.pooled.counts[0] / self.pooled.cells[0]

    def largest(self) -> np.ndarray:
        """Mean counts per cell of every gene, in the class where they are highest."""
        self._need_counts("max_counts")
        return self.counts_per_cell().max(axis=0)

    def counts_per_cell(self) -> np.ndarray:
        """Mean counts; classes × genes."""
        self._need_counts("max_transcripts")
        return self.stats.counts / np.maximum(self.stats.cells, 1)[:, None]

    @property
    def stands_out(self) -> np.ndarray:
        """Genes whose highest class is at least as far from the median class as their lowest, in any column."""
        means = [self.stats.mean[span] for span in self.classes.spans.values()]
        middles = (np.median(mean, axis=0) for mean in means)
        return np.any([m.max(axis=0) - c >= c - m.min(axis=0) for m, c in zip(means, middles, strict=True)], axis=0)

    def _need_counts(self, what: str) -> None:
        if self.why_no_counts:
            raise ValueError(
                f"{what} is in counts per cell, but {self.why_no_counts}; pass raw counts with layer=, or omit {what}."
            )


def caps(request: Request, known: Genes, expressed: Expression, found: Candidates) -> Caps:
    """The caps on transcripts per cell in every class and on cost, and the quotas; existing genes cost nothing.

    Raises
    ------
    KeyError, ValueError
        If a class or column is unknown, or a cost is missing or negative.
    """
    classes, n_genes = expressed.classes, len(known.names)
    limit = np.full(len(classes.names), np.inf)
    if isinstance(request.max_transcripts, Mapping):
        for name, most in request.max_transcripts.items():
            limit[classes.rows(name, "max_transcripts")] = most
    elif request.max_transcripts is not None:
        limit[:] = request.max_transcripts
    rows = np.flatnonzero(np.isfinite(limit))
    load = expressed.counts_per_cell()[rows] if len(rows) else np.zeros((0, n_genes))
    what, of = [TRANSCRIPTS] * len(rows), list(classes.labels[rows])
    limit = limit[rows]
    if request.cost_key is not None and request.budget is not None:  # both or neither
        cost = known.column(request.cost_key, "cost_key")
        if not (cost >= 0).all():
            raise ValueError(f"{_column(request.cost_key, 'cost_key')} has missing or negative costs; fill them in.")
        cost = np.where(np.isin(np.arange(n_genes), found.existing), 0.0, cost)
        load, limit = np.vstack([load, cost]), np.append(limit, request.budget)
        what, of = [*what, COST], [*of, ""]
    size = request.n_genes + len(found.existing)
    if request.quotas:
        more = quotas.rows(request.quotas, found.groups, size)
        what, of, limit = [*what, *more.what], [*of, *more.of], np.append(limit, more.limit)
        load = np.vstack([load, more.load])
    return Caps(np.array(what, dtype=object), np.array(of, dtype=object), load, limit, size)


def preference(request: Request, known: Genes) -> np.ndarray:
    """The user's weight of every gene, 1 where it is missing; genes are chosen by gain × weight.

    Raises
    ------
    ValueError
        If a weight is not above 0.
    """
    if request.weight_key is None:
        return np.ones(len(known.names))
    weight = np.nan_to_num(known.column(request.weight_key, "weight_key"), nan=1.0)
    if not (weight > 0).all():
        raise ValueError(
            f"{_column(request.weight_key, 'weight_key')} has weights of 0 or less; exclude such genes instead."
        )
    return weight


def failure_rates(request: Request, known: Genes) -> np.ndarray | None:
    """The probability that the probes of each gene fail, 1 × genes; None if no gene fails.

    Raises
    ------
    ValueError
        If it is missing for a gene, or not from 0 to below 1.
    """
    given = request.failure_rate
    if given is None or isinstance(given, float):
        return np.full((1, len(known.names)), given) if given else None
    rate = known.column(given, "failure_rate")
    wrong = np.flatnonzero(~((rate >= 0) & (rate < 1)))
    if len(wrong):
        missing = wrong[np.isnan(rate[wrong])]
        gene = (missing if len(missing) else wrong)[0]
        fault = (
            f"no failure rate for {known.names[gene]}" if len(missing) else f"{rate[gene]:g} for {known.names[gene]}"
        )
        raise ValueError(
            f"{_column(given, 'failure_rate')} has {fault}; every gene needs a probability from 0 to below 1."
        )
    return rate[None] if rate.any() else None


def _note_wanted(names: np.ndarray, removed: np.ndarray, hits: Mapping[str, np.ndarray]) -> None:
    """Warn of wanted genes that a rule removes, which may be one by default."""
    if removed.any():
        rules = (next(rule for rule, hit in hits.items() if hit[gene]) for gene in np.flatnonzero(removed))
        listed = join_names(f"{name} ({rule})" for name, rule in zip(names[removed], rules, strict=True))
        warn(f"a rule leaves out wanted genes: {listed}; make them 'must' to keep them.")


def _column(given: str | PerGene, what: str) -> str:
    return f"column {given!r} of adata.var" if isinstance(given, str) else f"the table {what}"


def _inside(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    return (values >= ends[0]) & (values <= ends[1])  # False for NaN: a missing value does not pass


def _outside(what: str, ends: tuple[float, float]) -> str:
    low, high = (f"{end:g}" for end in ends)
    if not np.isfinite(ends[1]):
        return f"{what} < {low}"
    return f"{what} > {high}" if ends[0] <= 0 else f"{what} outside {low} to {high}"
