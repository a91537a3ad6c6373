"""How well a panel separates every pair of classes, from class means and variances alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Self

import numpy as np

from smash_gpu.compute.cores import cores
from smash_gpu.compute.xp import namespace, on_gpu, place, to_host
from smash_gpu.panel.failure import softened
from smash_gpu.panel.profiles import Profiles

GENES_PER_BLOCK = {"cpu": 256, "cuda": 4096}
ELEMENTS_PER_BLOCK = {"cpu": 2**16, "cuda": 2**26}  # pairs × genes: fits the cache of a core, or keeps a device busy
PAIRS_PER_TASK = 2**15
EXP_ERROR = 2.0**-22  # of a value up to 1 in single precision: four units in the last place
RESOLVED = 30.0  # D / τ at which exp(−30) = 10⁻¹³ of a pair's weight is left, too little to change F


@dataclass(frozen=True)
class Objective:
    """``F(S) = Σ_ab w_ab (1 − exp(−D_ab(S) / τ))`` with ``D_ab(S) = Σ_{g ∈ S} s_g(a, b)``.

    A sum of concave functions of sums of non-negative numbers: monotone and submodular. With τ = 4 and
    ``w = √(p_a p_b)`` it is the Bhattacharyya bound on the pairwise error of independent Gaussians of equal variance
    (Kailath 1967); a larger τ allows for redundant genes. Where genes may fail, s is s̃ of `smash_gpu.panel.failure`,
    and F its mean over all ways to fail.

    Attributes
    ----------
    profiles
        Class profiles; classes × genes.
    first, second, weight
        The classes a and b of every pair, and ``w_ab > 0``.
    tau
        The separation at which a pair is resolved by 63 %.
    """

    profiles: Profiles
    first: Any
    second: Any
    weight: Any
    tau: float

    def with_tau(self, tau: float) -> Self:
        """A copy with another τ."""
        return replace(self, tau=tau)

    def on(self, device: str) -> Self:
        """A copy in the memory of a device."""
        pairs = {name: place(getattr(self, name), device) for name in ("first", "second", "weight")}
        return replace(self, profiles=self.profiles.on(device), **pairs)

    @property
    def unweighted(self) -> Self:
        """The same objective, all genes with weight 1."""
        return replace(self, profiles=self.profiles.unweighted)

    @property
    def ceiling(self) -> float:
        """``F`` if every pair were resolved."""
        return float(self.weight.sum())

    def separation(self, gene: int) -> Any:
        """``s_g(a, b)`` of one gene for every pair."""
        return self.separations([gene])[:, 0]

    def separations(self, genes: Any = slice(None), pairs: Any = slice(None)) -> Any:
        """``s_g(a, b)``; pairs × genes."""
        profiles = self.profiles.of(genes)
        s = profiles.separation(self.first[pairs], self.second[pairs])
        return s if profiles.failure is None else softened(s, profiles.failure, self.tau)

    def depth(self, genes: Any = ()) -> Any:
        """``D_ab`` of a panel for every pair."""
        return sum(map(self.separation, genes), start=0.0 * self.weight)

    def resolved(self, depth: Any) -> Any:
        """The resolved share of every pair, ``1 − exp(−D / τ)``."""
        return -namespace(depth).expm1(depth / -self.tau)

    def unresolved(self, depth: Any) -> Any:
        """The unresolved weight of every pair, ``w exp(−D / τ)``."""
        return self.weight * namespace(depth).exp(depth / -self.tau)

    def value(self, depth: Any) -> float:
        """``F`` of a panel of this depth."""
        return float(self.weight @ self.resolved(depth))

    def gains(self, depth: Any, genes: Any = slice(None), *, dtype: type = np.float64) -> np.ndarray:
        """``F(S + g) − F(S) = Σ_ab w_ab exp(−D_ab / τ) (1 − exp(−s_g(a, b) / τ))`` for each of ``genes``."""
        return self.gains_of(self.unresolved(depth)[None], genes, dtype=dtype)[0]

    def gains_of(self, left: Any, genes: Any = slice(None), *, dtype: type = np.float64) -> np.ndarray:
        """`gains` on top of several panels that leave the weights ``left`` (panels × pairs); panels × genes.

        Only blocks of pairs × genes are in memory at a time. In single precision, ``exp(x) − 1`` stands for
        ``expm1(x)``, which is much slower on most processors; it is wrong by at most `EXP_ERROR`.
        """
        profiles, left = self.profiles.of(genes).astype(dtype), left.astype(dtype)
        xp, scale = namespace(left), dtype(-1 / self.tau)

        def block(part: Profiles, pairs: slice) -> Any:
            s = part.separation(self.first[pairs], self.second[pairs])
            s *= scale
            if dtype is np.float32:
                xp.exp(s, out=s)
                s -= dtype(1)
            else:
                xp.expm1(s, out=s)
            gain = left[:, pairs] @ s
            return gain if part.failure is None else gain * (1 - part.failure)  # 1 − exp(−s̃ / τ) = (1 − q) (1 − …)

        return -summed(block, profiles, left.shape, "cuda" if on_gpu(left) else "cpu")

    def value_of_all(self) -> float:
        """``F`` of all genes; pairs are skipped from the gene on that resolves them fully."""
        xp, wide = namespace(self.weight), GENES_PER_BLOCK["cpu"]
        parts = [replace(self, profiles=self.profiles.of(cut)) for cut in cuts(0, self.profiles.n_genes, wide)]

        def task(some: slice) -> Any:
            depth = 0.0 * self.weight[some]
            for part in parts:
                unresolved = xp.flatnonzero(depth < RESOLVED * self.tau)
                for cut in cuts(0, len(unresolved), ELEMENTS_PER_BLOCK["cpu"] // wide):
                    pairs = unresolved[cut]
                    depth[pairs] += part.separations(pairs=pairs + some.start).sum(axis=1)
            return depth

        tasks = [(some,) for some in cuts(0, len(self.weight), PAIRS_PER_TASK) or [slice(0, 0)]]
        return self.value(xp.concatenate(in_threads(task, tasks, "cuda" if on_gpu(self.weight) else "cpu")))


def tau_for(n_genes: int) -> float:
    """``τ = max(2, 0.3 k)``: the more genes, the more of them are redundant."""
    return max(2.0, 0.3 * n_genes)


def cuts(start: int, stop: int, size: int) -> list[slice]:
    """Slices of at most ``size`` from ``start`` to ``stop``."""
    return [slice(begin, min(begin + size, stop)) for begin in range(start, stop, size)]


def summed(block: Callable[[Profiles, slice], Any], profiles: Profiles, shape: tuple, device: str) -> np.ndarray:
    """``block(profiles of some genes, some pairs)`` summed over all pairs; panels × genes, on the host.

    The order of summation does not depend on the number of threads. ``shape`` is panels × pairs.
    """
    wide = max(1, min(profiles.n_genes, GENES_PER_BLOCK[device]))
    tall = ELEMENTS_PER_BLOCK[device] // wide

    def task(genes: slice, pairs: slice) -> Any:
        part = profiles.of(genes)
        return sum(block(part, cut) for cut in cuts(pairs.start, pairs.stop, tall))

    tasks = list(product(cuts(0, profiles.n_genes, wide), cuts(0, shape[1], max(PAIRS_PER_TASK, tall))))
    total = np.zeros((shape[0], profiles.n_genes))
    for (genes, _), part in zip(tasks, in_threads(task, tasks, device), strict=True):
        total[:, genes] += to_host(part)
    return total


def in_threads(task: Callable, tasks: list, device: str) -> list:
    """``task(*arguments)`` for each of ``tasks``, in their order; on a device one after the other."""
    if device == "cuda" or len(tasks) <= 1:
        return [task(*where) for where in tasks]
    with ThreadPoolExecutor(cores()) as threads:
        return list(threads.map(task, *zip(*tasks, strict=True)))
