"""How lists are evaluated: classifiers, sizes, random panels, and simulated platforms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """Share of the counts that are kept, and probability that a gene fails."""

    thin: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.thin <= 1:
            raise ValueError(f"thin={self.thin} is the share of counts to keep; it must be above 0 and at most 1.")
        if not 0 <= self.dropout < 1:
            raise ValueError(
                f"dropout={self.dropout} is the share of failing genes; it must be at least 0 and below 1."
            )


INTACT = Condition()


@dataclass(frozen=True)
class Judging:
    """How lists are evaluated.

    Attributes
    ----------
    classifiers
        Names from `classifiers.CLASSIFIERS`.
    n_genes
        Lengths of the prefixes to evaluate; empty to evaluate each list as a whole. A list that is shorter than one of
        them is evaluated as a whole there.
    conditions
        Thinning and gene failure applied to training and held-out cells.
    n_random
        Number of random panels, matched on expression, for each list and split.
    scale_on_all
        See `classifiers.predict`.
    random_state
        Seed of all random draws: thinned counts, failing genes, random panels, trees.
    """

    classifiers: tuple[str, ...] = ("knn",)
    n_genes: tuple[int, ...] = ()
    conditions: tuple[Condition, ...] = (INTACT,)
    n_random: int = 0
    scale_on_all: bool = False
    random_state: int = 0


@dataclass(frozen=True)
class Transferring:
    """How lists are judged on a tissue; the names are those of `Judging`."""

    classifiers: tuple[str, ...] = ("knn",)
    n_genes: tuple[int, ...] = ()
    n_random: int = 5
    random_state: int = 0
    device: str = "cpu"
