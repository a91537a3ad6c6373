"""How well a panel tells every pair of classes apart, from class means and variances alone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from smash_gpu.arrays import namespace, on_gpu

EPSILON = 0.05  # added to the variance of a pair: a gene silent in two classes but for one cell tells nothing
PAIRS_PER_TASK = 2**15
ELEMENTS_PER_BLOCK = {"cpu": 2**16, "cuda": 2**26}  # pairs × genes at once: what fits a core's cache, or fills a device
RESOLVED = 30.0  # exp(−30) = 10⁻¹³ of a pair's weight is left: more genes cannot be seen in F


@dataclass(frozen=True)
class Profiles:
    """What is known of every class, all classes × genes.

    Attributes
    ----------
    mean, variance
        Of log-normalised expression over the cells of the class (population variance).
    low, high
        With a sample rule: in enough of its samples the class has a mean of at least ``low``, of at most ``high``.
    """

    mean: Any
    variance: Any
    low: Any = None
    high: Any = None

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.mean.shape[1]

    def of(self, genes: Any) -> Profiles:
        """The numbered genes."""
        return Profiles(*(None if array is None else array[:, genes] for array in vars(self).values()))

    def astype(self, dtype: type) -> Profiles:
        """The same numbers in another precision."""
        return Profiles(*(None if array is None else array.astype(dtype) for array in vars(self).values()))

    def separation(self, first: Any, second: Any) -> Any:
        """``s_g(a, b) = (m_ag − m_bg)² / (v_ag + v_bg + ε)`` for pairs of classes; pairs × genes.

        With a sample rule, 0 where not enough samples of each class are on its side of the middle between the two means.
        """
        difference = self.mean.take(first, axis=0)
        difference -= self.mean.take(second, axis=0)
        spread = self.variance.take(first, axis=0)
        spread += self.variance.take(second, axis=0)
        spread += spread.dtype.type(EPSILON)
        s = difference * difference
        s /= spread
        if self.low is not None:
            s *= self._holds(first, second, difference)
        return s

    def _holds(self, first: Any, second: Any, difference: Any) -> Any:
        middle = self.mean.take(second, axis=0) + difference / 2
        above, below = (a.take(first, axis=0) > middle for a in (self.low, self.high))
        above_second, below_second = (a.take(second, axis=0) > middle for a in (self.low, self.high))
        falls, rises = above & ~below_second, above_second & ~below
        return namespace(middle).where(difference > 0, falls, rises)


@dataclass(frozen=True)
class Objective:
    """``F(S) = Σ_ab w_ab (1 − exp(−D_ab(S) / τ))`` with ``D_ab(S) = Σ_{g ∈ S} s_g(a, b)``.

    A sum of concave functions of sums of non-negative numbers: monotone and submodular. With τ = 4 and
    ``w = √(p_a p_b)`` it is the Bhattacharyya bound on the pairwise error of independent Gaussians with equal
    variances (Kailath 1967); a larger τ allows for genes that tell the same twice.

    Attributes
    ----------
    profiles
        Classes × genes.
    first, second, weight
        The classes a and b of every pair, and ``w_ab``; pairs of positive weight only.
    tau
        The separation at which a pair is resolved by 63 %.
    """

    profiles: Profiles
    first: Any
    second: Any
    weight: Any
    tau: float

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(self.first)

    def separation(self, genes: Any) -> Any:
        """``s_g(a, b)`` of the numbered genes; pairs × genes."""
        return self.profiles.of(genes).separation(self.first, self.second)

    def depth(self, genes: Any) -> Any:
        """``D_ab`` of a panel; one value a pair."""
        return sum((self.separation([gene])[:, 0] for gene in genes), start=self.weight * 0.0)

    def resolved(self, depth: Any) -> Any:
        """The resolved share of every pair, ``1 − exp(−D / τ)``."""
        return -namespace(depth).expm1(-depth / self.tau)

    def unresolved(self, depth: Any) -> Any:
        """What is left of the weight of every pair, ``w exp(−D / τ)``."""
        return self.weight * namespace(depth).exp(-depth / self.tau)

    def value(self, depth: Any) -> float:
        """``F`` of a panel of this depth."""
        return float(self.weight @ self.resolved(depth))

    def gains(self, depth: Any, genes: Any, *, dtype: type = np.float64) -> np.ndarray:
        """``F(S + g) − F(S) = Σ_ab w_ab exp(−D_ab / τ) (1 − exp(−s_g(a, b) / τ))`` for each of ``genes``.

        Pairs × genes exist for one block at a time.
        """
        left = self.unresolved(depth).astype(dtype)
        profiles = self.profiles.of(genes).astype(dtype)
        xp, scale = namespace(left), dtype(-1 / self.tau)

        def block(pairs: slice, columns: slice) -> Any:
            s = profiles.of(columns).separation(self.first[pairs], self.second[pairs])
            s *= scale
            return left[pairs] @ xp.expm1(s, out=s)

        return -_summed(block, self.n_pairs, profiles.n_genes, "cuda" if on_gpu(left) else "cpu")

    def value_of_all(self, depth: Any, genes: Any) -> float:
        """``F`` of a panel of this depth together with all of ``genes``; pairs that are resolved need no more of them."""
        xp, depth = namespace(depth), depth.copy()
        for start in range(0, len(genes), 256):
            open_pairs = xp.flatnonzero(depth < RESOLVED * self.tau)
            profiles = self.profiles.of(genes[start : start + 256])
            for pairs in _cuts(len(open_pairs), PAIRS_PER_TASK // 16):
                chosen = open_pairs[pairs]
                depth[chosen] += profiles.separation(self.first[chosen], self.second[chosen]).sum(axis=1)
        return self.value(depth)


def tau_for(n_genes: int) -> float:
    """``τ = max(2, 0.3 k)``: the more genes, the more of them say the same."""
    return max(2.0, 0.3 * n_genes)


def _cuts(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _summed(block: Any, n_pairs: int, n_genes: int, device: str) -> np.ndarray:
    """``block(pairs, genes)`` summed over the pairs in one order, whatever the number of threads; genes."""
    wide = min(n_genes, 256 if device == "cpu" else 4096)
    tall = max(1, ELEMENTS_PER_BLOCK[device] // max(wide, 1))

    def task(pairs: slice, columns: slice) -> Any:
        parts = (slice(pairs.start + c.start, pairs.start + c.stop) for c in _cuts(pairs.stop - pairs.start, tall))
        return sum(block(part, columns) for part in parts)

    tasks = list(product(_cuts(n_pairs, max(PAIRS_PER_TASK, tall)), _cuts(n_genes, wide)))
    if device == "cuda" or len(tasks) == 1:
        done = [task(*where) for where in tasks]
    else:
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            done = list(threads.map(lambda where: task(*where), tasks))
    total = np.zeros(n_genes)
    for (_, columns), part in zip(tasks, done, strict=True):
        total[columns] += part if device == "cpu" else part.get()  # synchronises
    return total
