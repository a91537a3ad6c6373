"""Turns sums over cells into everything that the choice of genes depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.compute.xp import on_gpu, to_host
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.separation import EPSILON
from smash_gpu.errors import NotFoundError
from smash_gpu.panel import adjust
from smash_gpu.panel.classes import Classes, Level, classes_of, strata_of, summed
from smash_gpu.panel.constraints import Candidates, Caps, Expression, Genes, candidates, caps, failure_rates, preference
from smash_gpu.panel.covariance import Summed, measured
from smash_gpu.panel.importance import weights
from smash_gpu.panel.infeasible import check_numbers, check_quotas
from smash_gpu.panel.markers import markers
from smash_gpu.panel.objective import Objective, tau_for
from smash_gpu.panel.pairs import weighted_pairs
from smash_gpu.panel.probe_ranges import ranges
from smash_gpu.panel.probe_sets import fewer, sampling_variance, scaled, thinned
from smash_gpu.panel.profiles import Profiles
from smash_gpu.panel.request import MUST, Request
from smash_gpu.panel.variation import Variation
from smash_gpu.runtime.words import did_you_mean, join_names

FAIR_SHARES = (0.5, 1.0, 2.0, 4.0, 8.0)  # of a cap: limit / number of genes


@dataclass(frozen=True)
class Problem:
    """Everything that the choice depends on; no cell is read after this.

    Attributes
    ----------
    markers
        Which genes are markers of which class (classes × genes), and how many markers were requested for each class;
        all False and 0 if none were requested.
    probe_sets
        The number of probe sets of every gene, on which the objective and the caps depend; None: not a decision.
    variation
        What the choice maximises beside F, the same for all numbers of probe sets; None: nothing.
    """

    request: Request
    genes: Genes
    classes: Classes
    expressed: Expression
    objective: Objective
    found: Candidates
    caps: Caps
    preference: np.ndarray
    markers: np.ndarray
    promised: np.ndarray
    probe_sets: ProbeSets | None = None
    variation: Variation | None = None

    @property
    def must(self) -> np.ndarray:
        """Genes that must be in the panel."""
        return np.flatnonzero(self.found.tier == MUST)

    @property
    def is_by_value(self) -> bool:
        """Whether the choice is by F alone: no weights of genes, and no variation."""
        return self.request.weight_key is None and self.variation is None

    @property
    def is_label_free(self) -> bool:
        """Whether there are no classes, so that the variation alone decides."""
        return not len(self.objective.weight)

    def without_caps(self) -> Problem:
        """The same problem without upper limits on counts, transcripts and costs, and without promised markers."""
        most = self.with_most_probe_sets
        found = replace(most.found, tier=most.found.uncapped)
        kept = most.caps.of_rows(most.caps.is_quota)
        return replace(most, found=found, caps=kept, promised=np.zeros_like(most.promised), probe_sets=None)

    @property
    def with_most_probe_sets(self) -> Problem:
        """The problem with as many probe sets as possible for every gene."""
        return self if self.probe_sets is None else self.probe_sets.at(self.probe_sets.high)


@dataclass(frozen=True)
class ProbeSets:
    """The range of the number of probe sets of every gene.

    Attributes
    ----------
    low, high
        Least and most probe sets; genes. The data are what is seen with ``high``.
    noise
        Sampling variance of log-normalised expression, and ε / 2; classes × genes.
    number
        The numbers that this problem is about; genes.
    most
        The problem with ``high`` probe sets for every gene, from which the others are made.
    """

    low: np.ndarray
    high: np.ndarray
    noise: np.ndarray
    number: np.ndarray
    most: Problem

    def at(self, number: np.ndarray) -> Problem:
        """The problem with other numbers of probe sets."""
        share = number / self.high
        return replace(
            self.most,
            objective=thinned(self.most.objective, self.noise, share),
            caps=fewer(self.most.caps, share),
            probe_sets=replace(self, number=number),
        )

    def separation(self, objective: Objective, gene: int, number: int) -> Any:
        """``s_g(a, b)`` of one gene with so many probe sets, for every pair; ``objective`` is that with the most."""
        one = replace(objective, profiles=objective.profiles.of([gene]))
        return thinned(one, self.noise[:, [gene]], np.array([number / self.high[gene]])).separation(0)

    def by_brightness(self, n: int) -> Iterator[np.ndarray]:
        """Numbers by rule: as many as fit into multiples of a gene's fair share of the cap that it fills most.

        The last is the least of every gene.
        """
        caps, existing = self.most.caps, self.most.found.existing
        rows = scaled(caps)
        room = np.maximum(caps.limit - caps.used(existing), 1e-300)[rows]
        share = n * (caps.load[rows] / room[:, None]).max(axis=0, initial=0.0) / self.high  # of one probe set
        for fair in FAIR_SHARES[::-1]:
            fits = np.floor(np.minimum(fair / np.maximum(share, 1e-300), self.high) + 1e-9).astype(int)
            yield np.clip(fits, self.low, self.high)
        yield self.low


def prepare(
    data: Dataset,
    levels: list[Level],
    request: Request,
    *,
    table: pd.DataFrame | None = None,
    mask: np.ndarray | None = None,
    importance: np.ndarray | None = None,
) -> Problem:
    """Sum over the cells once, and apply the rules.

    Parameters
    ----------
    levels
        The label columns.
    table
        Annotation of the genes, with columns for limits, weights and costs.
    mask
        Genes that may be chosen.
    importance
        Of each gene for a model, NaN for genes that were no candidates there: the source of `importance.weights`. None:
        all weights are 1. Genes that are in anyway, required or existing ones, have the weight 1 if they were none.
    """
    of_strata, classes = summed_of(data, levels)
    members = of_strata.strata.members(len(classes.names))
    expressed = Expression(classes, summed(of_strata.sums, members), of_strata.sums.pooled, data.known.why_no_counts)
    table = pd.DataFrame(index=data.names) if table is None else table
    known = Genes(data.names, data.symbols, data.ids, data.aliases, table)
    found = candidates(request, known, expressed, mask, None if importance is None else ~np.isnan(importance))
    check_numbers(request, found, known)
    check_quotas(request.quotas, found)
    objective, variation = learned(of_strata, classes, levels, request, found=found, known=known, importance=importance)
    promised = promises(classes, request)
    marking = (
        markers(objective.profiles.on("cpu"), classes, ignored_classes(classes, request))
        if promised.any()
        else np.zeros(objective.profiles.mean.shape, bool)
    )
    problem = Problem(
        request, known, classes, expressed, objective, found, caps(request, known, expressed, found),
        preference(request, known), marking, promised, variation=variation,
    )  # fmt: skip
    return with_probe_sets(problem)


def summed_of(data: Dataset, levels: list[Level]) -> tuple[Summed, Classes]:
    """Sums over the cells of every stratum, from one pass, and the classes."""
    strata = strata_of(levels, *(None if v is None else v.codes for v in (data.sample, data.batch)))
    sums = data.stats_by(strata.code, strata.n)
    classes = classes_of(levels)
    return Summed(data, strata, sums, adjust.offsets(sums, strata, classes)), classes


def learned(
    of_strata: Summed,
    classes: Classes,
    levels: list[Level],
    request: Request,
    *,
    found: Candidates,
    known: Genes,
    importance: np.ndarray | None,
) -> tuple[Objective, Variation | None]:
    """What the choice maximises, with the numbers that the cells of ``of_strata`` give; see `prepare`."""
    data = of_strata.data
    fraction = None if data.sample is None else request.sample_fraction
    profiles = adjust.profiles(
        of_strata.without_batches, of_strata.strata, classes, sample_fraction=fraction,
        min_cells_per_sample=request.min_cells_per_sample,
    )  # fmt: skip
    if importance is not None:
        profiles = replace(profiles, weight=_weights(importance, found)[None])
    profiles = replace(profiles, failure=failure_rates(request, known))
    objective = _objective(profiles, classes, levels, request, found).on(data.device)
    return objective, measured(of_strata, request, found, objective)


def refitted(
    problem: Problem, objective: Objective, variation: Variation | None, levels: list[Level], request: Request
) -> Problem:
    """The rules of a problem with what was `learned` from other cells, and with τ and weights of another request."""
    device = "cuda" if on_gpu(objective.weight) else "cpu"
    if variation is not None:
        variation = replace(variation, weight=request.variation) if request.variation else None
    changed = replace(
        problem.with_most_probe_sets, request=request, probe_sets=None,
        objective=_objective(objective.profiles, problem.classes, levels, request, problem.found).on(device),
        variation=variation,
    )  # fmt: skip
    return with_probe_sets(changed)


def _objective(
    profiles: Profiles, classes: Classes, levels: list[Level], request: Request, found: Candidates
) -> Objective:
    pairs = weighted_pairs(
        classes, {level.name: level.weight for level in levels}, prior=request.prior, ignore=request.ignore,
        class_weights=request.class_weights, pair_weights=request.pair_weights,
    )  # fmt: skip
    tau = request.tau or tau_for(request.n_genes + len(found.existing))
    return Objective(profiles, pairs.first, pairs.second, pairs.weight, tau)


def _weights(importance: np.ndarray, found: Candidates) -> np.ndarray:
    is_in = found.tier == MUST
    is_in[found.existing] = True
    return np.where(is_in & np.isnan(importance), 1.0, weights(importance))


def with_probe_sets(problem: Problem) -> Problem:
    """The problem with as many probe sets as possible, and what it needs to give genes fewer."""
    if problem.request.probe_sets is None:
        return problem
    found = problem.found
    low, high = ranges(problem.request.probe_sets, problem.genes, found.tier == MUST)
    high = np.maximum(high, 1)  # the rules leave out genes without probes
    low = np.minimum(low, high)
    low[found.existing] = high[found.existing]  # they are printed
    variance = to_host(problem.objective.profiles.variance)
    noise = sampling_variance(problem.expressed, variance) + EPSILON / 2
    return ProbeSets(low, high, noise, high, problem).at(high)


def promises(classes: Classes, request: Request) -> np.ndarray:
    """Number of markers requested for each class; 0 for ignored classes.

    Raises
    ------
    KeyError
        If a label column is unknown.
    """
    asked = request.min_markers
    if isinstance(asked, Mapping):
        unknown = set(asked) - set(classes.spans)
        if unknown:
            name = min(unknown)
            raise NotFoundError(
                f"min_markers: {name!r} is not a label column.{did_you_mean(name, classes.spans)} Columns: "
                f"{join_names(classes.spans)}."
            )
        promised = np.array([asked.get(level, 0) for level in classes.levels])
    else:
        promised = np.full(len(classes.names), asked)
    return np.where(ignored_classes(classes, request), 0, promised)


def ignored_classes(classes: Classes, request: Request) -> np.ndarray:
    """Mask of the classes that need not be separated from any other."""
    ignored = np.zeros(len(classes.names), dtype=bool)
    for name in (*request.ignore, *(name for name, weight in request.class_weights.items() if not weight)):
        ignored[classes.rows(name, "ignore")] = True
    return ignored
