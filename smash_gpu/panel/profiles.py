"""Expression profile of every class, and how far a gene separates two classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from smash_gpu.compute.xp import namespace, place
from smash_gpu.data.separation import separation


@dataclass(frozen=True)
class Profiles:
    """Means and variances; classes × genes.

    Attributes
    ----------
    mean, variance
        Of log-normalised expression over the cells of each class (population variance); classes × genes.
    low, high
        With a sample rule: in enough samples the mean of the class is at least ``low``, and in enough at most ``high``.
    weight
        Factor of the separations of each gene; 1 × genes. None: 1.
    failure
        Probability that the probes of each gene fail; 1 × genes. None: 0. `Objective` takes it into account.
    """

    mean: Any
    variance: Any
    low: Any = None
    high: Any = None
    weight: Any = None
    failure: Any = None

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.mean.shape[1]

    @property
    def unweighted(self) -> Self:
        """The same profiles, all genes with weight 1."""
        return replace(self, weight=None)

    def of(self, genes: Any) -> Self:
        """A copy with only the numbered genes."""
        xp = namespace(self.mean)
        chosen = genes if isinstance(genes, slice) else xp.asarray(genes)
        return self._each(lambda array: xp.ascontiguousarray(array[:, chosen]))

    def astype(self, dtype: type) -> Self:
        """The same profiles in another precision."""
        return self._each(lambda array: array.astype(dtype, copy=False))

    def on(self, device: str) -> Self:
        """The same profiles in the memory of a device."""
        return self._each(lambda array: place(array, device))

    def separation(self, first: Any, second: Any) -> Any:
        """``s_g(a, b) = w_g (m_ag − m_bg)² / (v_ag + v_bg + ε)``; pairs of classes × genes.

        With a sample rule it is 0 unless, in enough samples of each class, the class is on its own side of the midpoint
        of the two means.
        """
        difference = self.mean.take(first, axis=0)
        difference -= self.mean.take(second, axis=0)
        spread = self.variance.take(first, axis=0)
        spread += self.variance.take(second, axis=0)
        s = separation(difference, spread)
        if self.weight is not None:
            s *= self.weight
        if self.low is not None:
            s *= self._samples_agree(first, second, difference)
        return s

    def _samples_agree(self, first: Any, second: Any, difference: Any) -> Any:
        middle = self.mean.take(second, axis=0) + difference / 2
        falls = (self.low.take(first, axis=0) > middle) & (self.high.take(second, axis=0) < middle)
        rises = (self.high.take(first, axis=0) < middle) & (self.low.take(second, axis=0) > middle)
        return falls | rises

    def _each(self, change: Callable[[Any], Any]) -> Self:
        arrays = (getattr(self, field.name) for field in fields(self))
        return type(self)(*(None if array is None else change(array) for array in arrays))
