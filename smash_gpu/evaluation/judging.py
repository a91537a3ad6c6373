"""How lists are evaluated: classifiers, sizes, random panels, and simulated platforms."""

from __future__ import annotations

from dataclasses import dataclass, replace

from smash_gpu.runtime.whole import require_at_least

WILCOXON = "wilcoxon"  # in place of a list: scanpy's test, chosen inside every split


@dataclass(frozen=True)
class Condition:
    """A simulated platform.

    Attributes
    ----------
    thin
        Share of the counts that are kept.
    dropout
        Probability that a gene fails: it reads zero in all cells.
    gene_bias
        Standard deviation of the logarithm of a factor per gene on its counts.
    background
        Mean of false counts per gene and cell.
    """

    thin: float = 1.0
    dropout: float = 0.0
    gene_bias: float = 0.0
    background: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.thin <= 1:
            raise ValueError(f"thin={self.thin} is the share of counts to keep; it must be above 0 and at most 1.")
        if not 0 <= self.dropout < 1:
            raise ValueError(
                f"dropout={self.dropout} is the share of failing genes; it must be at least 0 and below 1."
            )
        for name in ("gene_bias", "background"):
            if not 0 <= (value := getattr(self, name)) < float("inf"):
                raise ValueError(f"{name}={value} must be a number that is at least 0.")

    @property
    def values(self) -> Condition:
        """What changes values of all genes alike, gene by gene: all but the failing genes."""
        return replace(self, dropout=0.0)


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
        Simulated platforms, one by one applied to training and held-out cells.
    intact_training
        Apply them to held-out cells only; training and held-out cells are then scaled each on their own.
    structure
        Further metrics, of `metrics.STRUCTURE`: how much of the structure inside groups a list keeps, see
        `structure.kept`, and how many groups it captures, see `structure.captured`.
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
    intact_training: bool = False
    structure: tuple[str, ...] = ()
    n_random: int = 0
    scale_on_all: bool = False
    random_state: int = 0


@dataclass(frozen=True)
class Resampling:
    """How often the choice is repeated on halves, and how many substitutes are listed for each gene."""

    n_resamples: int = 20
    n_substitutes: int = 3

    def __post_init__(self) -> None:
        require_at_least(0, n_substitutes=self.n_substitutes)
        if self.n_resamples < 2 or self.n_resamples % 2:
            raise ValueError(
                f"n_resamples={self.n_resamples} must be an even number above 0, because halves come in pairs."
            )


@dataclass(frozen=True)
class Transferring:
    """How lists are judged on a tissue; the names are those of `Judging`."""

    classifiers: tuple[str, ...] = ("knn",)
    n_genes: tuple[int, ...] = ()
    n_random: int = 5
    random_state: int = 0
    device: str = "cpu"
