"""Probe sets per gene: what a gene with fewer of them adds to the transcripts per cell, and how much it separates.

A gene with p of at most P probe sets is seen with the share q = p / P of its transcripts, each of them independently.
What is seen of Poisson counts is again Poisson, so that only the sampling part of the variance of a class grows, by the
factor 1 / q, and with it ε::

    s_g(a, b; q) = (m_a − m_b)² / (v_a + v_b + ε + (1 / q − 1) (u_a + u_b + ε))

with u the sampling variance, not above v. It is the usual s at q = 1, rises with q, and rises ever more slowly: a gene
that is limited by sampling (u = v) separates in proportion to its probe sets, a bright one (u « v) hardly less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smash_gpu.compute.xp import on_gpu, place, to_host
from smash_gpu.panel.constraints import TRANSCRIPTS, Caps, Expression
from smash_gpu.panel.objective import Objective
from smash_gpu.panel.probe_ranges import ranges
from smash_gpu.panel.profiles import EPSILON
from smash_gpu.panel.request import MUST

if TYPE_CHECKING:
    from smash_gpu.panel.problem import Problem

TARGET = 1e4  # counts of a cell after normalisation
FAIR_SHARES = (0.5, 1.0, 2.0, 4.0, 8.0)  # of a cap: limit / number of genes


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

    @staticmethod
    def scaled(caps: Caps) -> np.ndarray:
        """Mask of the caps whose loads are in proportion to the number of probe sets."""
        return caps.what == TRANSCRIPTS

    def by_brightness(self, n: int) -> Iterator[np.ndarray]:
        """Numbers by rule: as many as fit into multiples of a gene's fair share of the cap that it fills most.

        The last is the least of every gene.
        """
        caps, existing = self.most.caps, self.most.found.existing
        rows = self.scaled(caps)
        room = np.maximum(caps.limit - caps.used(existing), 1e-300)[rows]
        share = n * (caps.load[rows] / room[:, None]).max(axis=0, initial=0.0) / self.high  # of one probe set
        for fair in FAIR_SHARES[::-1]:
            fits = np.floor(np.minimum(fair / np.maximum(share, 1e-300), self.high) + 1e-9).astype(int)
            yield np.clip(fits, self.low, self.high)
        yield self.low


def thinned(objective: Objective, noise: np.ndarray, share: np.ndarray) -> Objective:
    """The objective if only a share of the transcripts of each gene is seen."""
    variance = objective.profiles.variance
    more = place((1 / share - 1) * noise, "cuda" if on_gpu(variance) else "cpu")
    return replace(objective, profiles=replace(objective.profiles, variance=variance + more))


def fewer(caps: Caps, share: np.ndarray) -> Caps:
    """The caps if only a share of the transcripts of each gene is seen."""
    return replace(caps, load=np.where(ProbeSets.scaled(caps)[:, None], caps.load * share, caps.load))


def sampling_variance(expressed: Expression, variance: np.ndarray) -> np.ndarray:
    """The part of the variance of log-normalised expression that Poisson counts of the class mean have, at most all.

    By the delta method, ``(d e / d x)² μ`` at the mean count μ with ``e = log(1 + a x)``, where a is 10⁴ over the mean
    counts per cell of the class; classes × genes.
    """
    counts = expressed.counts_per_cell()
    a = TARGET / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    return np.minimum(variance, a**2 * counts / (1 + a * counts) ** 2)


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
