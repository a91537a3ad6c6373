"""How much of the variation between cells, inside classes too, a panel explains: column subset selection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from smash_gpu.compute.eigen import idle_threads, leading
from smash_gpu.compute.xp import namespace, to_host

PC, TOTAL = TARGETS = ("pc", "total")
N_COMPONENTS = 30
NOISE = 0.5  # of a measured gene, in variances of the most variable gene of the pool
TAKEN = 1e-8  # of the variance of a gene: less is left of those in the panel, more of others, which have noise
CONSTANT = 1e-8  # of the largest variance: a component with less has none


@dataclass(frozen=True)
class Variation:
    """``V(S)``: the share of the variance of some targets that a linear regression on the genes S explains.

    The regression sees every gene with measurement noise of its own, `NOISE` large: so a gene that hardly varies
    explains little, and a second gene of a module is of use. Genes outside the pool explain nothing here, so that the
    true share is never smaller.

    Attributes
    ----------
    weight
        λ in ``J(S) = (1 − λ) F(S) / F(all) + λ V(S)``.
    place
        Of every gene in the pool; −1 for genes outside.
    covariance
        Of the pool as it is measured, with the noise, genes × genes.
    shared
        Covariance of the targets with the pool, targets × genes.
    spectrum
        Eigenvalues of the covariance of the targets, in descending order; they add up to its trace.
    """

    weight: float
    place: np.ndarray
    covariance: Any
    shared: Any
    spectrum: np.ndarray

    def explained(self, genes: Iterable[int] = ()) -> Explained:
        """What these genes explain."""
        xp = namespace(self.covariance)
        squares, variance = xp.einsum("tg,tg->g", self.shared, self.shared), xp.diag(self.covariance)
        nothing = (xp.zeros((n, 0)) for n in (len(variance), len(self.shared)))
        found = Explained(self, squares, variance, *nothing)
        for gene in genes:
            found = found.with_gene(gene)
        return found

    def bound(self, n_genes: int) -> float:
        """No ``n_genes`` genes have a larger ``V``: that of as many leading components, measured without noise."""
        return min(1.0, float(self.spectrum[:n_genes].sum() / self.spectrum.sum())) if self.spectrum.sum() > 0 else 0.0

    def merit(self, resolution: Any, share: Any) -> Any:
        """``J`` from ``F / F(all)`` and ``V``, or what is gained of it."""
        return (1 - self.weight) * resolution + self.weight * share


@dataclass(frozen=True)
class Explained:
    """What a panel explains, and what is left: the state of the greedy choice.

    What is left of the covariances after a regression on the panel is never formed: it is ``covariance − taken takenᵀ``
    within the pool, and ``shared − of_targets takenᵀ`` between the targets and the pool.

    Attributes
    ----------
    squares
        For every gene of the pool, the sum over the targets of its squared covariance that is left.
    variance
        What is left of the variance of every gene of the pool.
    taken, of_targets
        Columns of a Cholesky factor; genes of the pool × genes of the panel, and targets × genes of the panel.
    share
        ``V`` of the panel.
    """

    of: Variation
    squares: Any
    variance: Any
    taken: Any
    of_targets: Any
    share: float = 0.0

    @cached_property
    def _gains(self) -> Any:
        xp = namespace(self.squares)
        left = self.variance > TAKEN * xp.diag(self.of.covariance)
        return xp.where(left, self.squares / xp.where(left, self.variance, 1.0), 0.0) * self.per_variance

    @property
    def per_variance(self) -> float:
        """The factor that makes explained variance ``V``."""
        return 1 / max(float(self.of.spectrum.sum()), np.finfo(float).tiny)

    @cached_property
    def gains(self) -> np.ndarray:
        """``V(S + g) − V(S)`` of every gene, on the host; 0 for genes outside the pool."""
        found = to_host(self._gains)
        of_pool = np.concatenate([found, np.zeros((*found.shape[:-1], 1))], axis=-1)  # place −1 is the last
        return of_pool[..., self.of.place]

    def with_gene(self, gene: int) -> Explained:
        """What the panel and one more gene explain."""
        at, xp = int(self.of.place[gene]), namespace(self.squares)
        if at < 0 or float(self.variance[at]) <= TAKEN * float(self.of.covariance[at, at]):
            return self
        scale = 1 / xp.sqrt(self.variance[at])
        column = (self.of.covariance[at] - self.taken @ self.taken[at]) * scale
        target = (self.of.shared[:, at] - self.of_targets @ self.taken[at]) * scale
        together = target @ self.of.shared - self.taken @ (target @ self.of_targets)
        squares = self.squares - column * (2 * together - column * (target @ target))
        return replace(
            self,
            squares=xp.maximum(squares, 0.0),
            variance=self.variance - column**2,
            taken=xp.concatenate([self.taken, column[:, None]], axis=1),
            of_targets=xp.concatenate([self.of_targets, target[:, None]], axis=1),
            share=self.share + float(self.gains[gene]),
        )


def without_each(of: Variation, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What ``V`` loses without each of these genes, and the gain of every gene on top of the others, genes × genes."""
    explained, inside = of.explained(genes), of.place[genes] >= 0
    loss, gains = np.zeros(len(genes)), np.tile(explained.gains, (len(genes), 1))
    loss[inside], gains[inside] = _without_each_taken(explained, genes[inside])
    return loss, gains


def _without_each_taken(explained: Explained, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for the genes in the pool, which are the taken ones, in their order.

    With ``P = Σ_SS⁻¹``, what is left without p is what is left with it and a matrix of rank one:
    ``R + q qᵀ / P_pp`` with ``q = Σ_·S P e_p``.
    """
    of, xp = explained.of, namespace(explained.squares)
    inverse = xp.linalg.inv(explained.taken[of.place[genes]])  # of the Cholesky factor
    own = (inverse**2).sum(axis=0)  # P_pp
    targets, q = explained.of_targets @ inverse, (explained.taken @ inverse).T / own[:, None]
    lost = (targets**2).sum(axis=0)
    together = targets.T @ of.shared - (targets.T @ explained.of_targets) @ explained.taken.T
    squares = xp.maximum(explained.squares + q * (2 * together + q * lost[:, None]), 0.0)
    found = replace(explained, squares=squares, variance=explained.variance + q**2 * own[:, None])
    return to_host(lost / own) * found.per_variance, found.gains


def variation_of(weight: float, target: str, place: np.ndarray, targets: np.ndarray, covariance: Any) -> Variation:
    """``V`` from the covariance of a pool of genes.

    Parameters
    ----------
    target
        "pc": the leading `N_COMPONENTS` principal components of ``targets``; "total": the targets themselves.
    place
        As in `Variation`.
    targets
        Numbers of genes of the pool.
    covariance
        Of the pool, genes × genes.
    """
    xp = namespace(covariance)
    rows = xp.asarray(place[targets])
    shared = covariance[rows]
    axes, spectrum = _components(shared[:, rows])
    if target == PC:
        shared, spectrum = axes.T @ shared, spectrum[: axes.shape[1]]
    noise = NOISE * float(to_host(xp.diag(covariance)).max(initial=0.0)) or 1.0  # any, where no gene varies
    return Variation(weight, place, covariance + noise * xp.eye(len(covariance)), shared, spectrum)


def _components(covariance: Any) -> tuple[Any, np.ndarray]:
    """The leading eigenvectors, as columns, and all eigenvalues in descending order; overwrites the matrix."""
    found: list[np.ndarray] = []

    def n_components(values: Any) -> int:
        found.append(np.maximum(to_host(values), 0.0))
        return min(N_COMPONENTS, int(np.count_nonzero(found[0] > CONSTANT * found[0].max(initial=0.0))))

    with idle_threads(len(covariance)):
        return leading(covariance, n_components), found[0]
