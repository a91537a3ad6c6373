"""The best panel of a small problem: branch and bound on a function that lies above F everywhere.

F is concave in the depths D, which are sums over the choices. So F lies below its tangent plane at every panel, and a
linear program of whole choices under all constraints, with the planes found so far, bounds every panel. Each round adds
the plane at its solution (Kelley 1960; Duran & Grossmann 1986), until the bound is the value of a panel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from smash_gpu.compute.xp import to_host
from smash_gpu.panel.feasible import OPTIMAL, ROUNDING, solved
from smash_gpu.panel.probe_sets import scaled
from smash_gpu.panel.problem import Problem
from smash_gpu.panel.request import MUST, ORDINARY, OUT
from smash_gpu.panel.result import Design
from smash_gpu.runtime.progress import track

MOST_CHOICES = 160  # genes × numbers of probe sets
MOST_SEPARATIONS = 2**16  # pairs × choices
ROUNDS = 60
NODES = 2000  # of the branching, in each round
PLANES = 12  # in each round: one per group of pairs
SCALE = 1e4  # of F, which brings the tolerances of HiGHS to 10⁻¹⁰ of F
SAME = 1e-9  # of F


@dataclass(frozen=True)
class Choices:
    """Every gene that may be chosen, once for each number of probe sets: the gene and the number."""

    problem: Problem
    tau: float
    gene: np.ndarray
    number: np.ndarray

    @cached_property
    def s(self) -> np.ndarray:
        """Separations; pairs × choices."""
        sets = self.problem.probe_sets
        if sets is None:
            return to_host(self.problem.objective.separations(self.gene))
        both = zip(self.gene.tolist(), self.number.tolist(), strict=True)
        return np.stack([to_host(sets.separation(sets.most.objective, *choice)) for choice in both], axis=1)

    @cached_property
    def weight(self) -> np.ndarray:
        """Of every pair."""
        return to_host(self.problem.objective.weight)

    @cached_property
    def given(self) -> np.ndarray:
        """Depth of the existing genes."""
        return to_host(self.problem.objective.depth(self.problem.found.existing))

    @cached_property
    def load(self) -> np.ndarray:
        """What each choice adds to the caps, in shares; caps × choices."""
        caps, sets = self.problem.with_most_probe_sets.caps, self.problem.probe_sets
        load = caps.load[:, self.gene] / caps.unit[:, None]
        return load if sets is None else np.where(scaled(caps)[:, None], load * self._share, load)

    @property
    def _share(self) -> np.ndarray:
        assert self.problem.probe_sets is not None
        return self.number / self.problem.probe_sets.high[self.gene]

    @cached_property
    def room(self) -> np.ndarray:
        """What is left of the caps, in shares."""
        caps = self.problem.with_most_probe_sets.caps
        return (caps.limit - caps.used(self.problem.found.existing)) / caps.unit

    def fits(self, chosen: np.ndarray) -> bool:
        """Whether these choices exceed no cap."""
        return bool((self.load[:, chosen].sum(axis=1) <= self.room + ROUNDING).all())

    def left(self, chosen: np.ndarray) -> np.ndarray:
        """Unresolved weight of every pair."""
        return self.weight * np.exp(-(self.given + self.s[:, chosen].sum(axis=1)) / self.tau)


def improved(found: Design) -> Design:
    """The best design, if the problem is small enough; with its proven bound.

    Genes of each priority and markers stay as many as they are; the bound is for all panels if nothing of that is asked
    for.
    """
    problem = found.problem
    choices = _choices(found)
    if choices is None:
        return found
    chosen, bound = _best(choices, _fixed(found, choices), _places(found, choices))
    number = None if problem.probe_sets is None else problem.probe_sets.number.copy()
    if number is not None:
        number[choices.gene[chosen]] = choices.number[chosen]
    better = found.of(choices.gene[chosen], number)
    better = better if better.value[-1] > found.value[-1] + SAME else found
    plain = not problem.promised.any() and np.isin(problem.found.tier, (MUST, ORDINARY, OUT)).all()
    return replace(better, proven=bound if plain else np.inf)


def _choices(found: Design) -> Choices | None:
    """All choices; None if they are too many, or F does not hold all that the user wants."""
    problem, sets = found.problem, found.problem.probe_sets
    genes = np.flatnonzero(problem.found.tier < OUT)
    if problem.request.nested or not problem.is_by_value or len(genes) > MOST_CHOICES:
        return None
    several = np.ones(len(genes), dtype=int) if sets is None else (sets.high - sets.low + 1)[genes]
    if several.sum() > MOST_CHOICES or several.sum() * len(found.objective.weight) > MOST_SEPARATIONS:
        return None
    least = np.ones(len(genes), dtype=int) if sets is None else sets.low[genes]
    number = np.concatenate([np.arange(low, low + n) for low, n in zip(least, several, strict=True)])
    return Choices(problem, found.objective.tau, np.repeat(genes, several), number)


def _places(found: Design, choices: Choices) -> np.ndarray:
    """The choices of a design, by position."""
    sets = found.problem.probe_sets
    number = np.ones(len(found.problem.genes.names), dtype=int) if sets is None else sets.number
    return np.flatnonzero(np.isin(choices.gene, found.panel) & (choices.number == number[choices.gene]))


def _fixed(found: Design, choices: Choices) -> list[tuple]:
    """The constraints: places, one number per gene, caps, required genes, priorities and markers."""
    problem, gene, n = found.problem, choices.gene, len(choices.gene)
    genes, first = np.unique(gene, return_index=True)
    one = sparse.csr_array((np.ones(n), (np.searchsorted(genes, gene), np.arange(n))))
    tier = problem.found.tier
    must = (tier[genes] == MUST).astype(float)
    of_tier = np.stack([tier[gene] == t for t in range(OUT)]).astype(float)
    held = np.array([(tier[found.panel] == t).sum() for t in range(OUT)], dtype=float)
    needed = np.minimum(problem.promised, problem.markers[:, found.whole].sum(axis=1))
    needed = needed - problem.markers[:, problem.found.existing].sum(axis=1)
    needy = needed > 0
    rows = [(of_tier, held, held), (one, must, np.ones(len(first))), (choices.load, -np.inf, choices.room)]
    return [*rows, (problem.markers[np.ix_(needy, gene)].astype(float), needed[needy], np.inf)]


def _best(choices: Choices, fixed: list[tuple], start: np.ndarray) -> tuple[np.ndarray, float]:
    """The best choices, and a bound on all."""
    n, groups = len(choices.gene), np.array_split(np.arange(len(choices.weight)), min(PLANES, len(choices.weight)))
    of_group = np.stack([np.isin(np.arange(len(choices.weight)), group) for group in groups]).astype(float)
    wide = [(_beside(rows, len(groups)), low, high) for rows, low, high in fixed if rows.shape[0]]
    price = np.concatenate([np.zeros(n), -np.ones(len(groups))])
    upper = np.concatenate([np.ones(n), SCALE * (of_group @ choices.weight)])
    seen: set[tuple] = set()
    planes: list[tuple] = []
    best, value, bound, chosen = start, -np.inf, np.inf, start
    for _ in track(range(ROUNDS), "looking for a better panel", unit="round"):
        left = choices.left(chosen)
        now = float((choices.weight - left).sum())
        if now > value and choices.fits(chosen):
            best, value = chosen, now
        if bound <= value + SAME or tuple(chosen) in seen:
            return best, min(bound, value + SAME) if tuple(chosen) in seen else bound
        seen.add(tuple(chosen))
        slope = SCALE * (of_group * left) @ choices.s / choices.tau
        height = SCALE * of_group @ (choices.weight - left) - slope[:, chosen].sum(axis=1)
        planes.append((np.hstack([-slope, np.eye(len(groups))]), -np.inf, height))
        found = solved(
            price, upper, *wide, *planes, integrality=np.arange(len(price)) < n,
            options={"node_limit": NODES, "mip_rel_gap": 0.0},
        )  # fmt: skip
        if found.x is None or found.mip_dual_bound is None:
            break
        bound = min(bound, -found.mip_dual_bound / SCALE)
        chosen = np.flatnonzero(found.x[:n] > 0.5)
        if found.status != OPTIMAL:
            break
    return best, bound


def _beside(rows: np.ndarray, more: int) -> sparse.csr_array:
    """The rows with zeros for more variables."""
    return sparse.hstack([sparse.csr_array(rows), sparse.csr_array((rows.shape[0], more))], format="csr")
