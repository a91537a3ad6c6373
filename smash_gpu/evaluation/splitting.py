"""How cells are split into training and held-out cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smash_gpu.data import splits
from smash_gpu.runtime.words import not_one_of

if TYPE_CHECKING:
    from smash_gpu.data.dataset import Dataset

LEAK_FREE, PAPER = "leak-free", "paper"
PROTOCOLS = (LEAK_FREE, PAPER)
TEST_FRACTION = 0.3
PAPER_SEED = 42


@dataclass(frozen=True)
class Splitting:
    """How cells are split; see `smash_gpu.tl.evaluate` for the parameters."""

    protocol: str = LEAK_FREE
    n_splits: int = 3
    n_seeds: int = 1
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(not_one_of("protocol", self.protocol, PROTOCOLS))
        if self.n_seeds < 1:
            raise ValueError(f"n_seeds={self.n_seeds} must be at least 1.")

    def of(self, data: Dataset) -> Iterable[splits.Split]:
        """The splits of the cells of ``data``: by cells, or by sample if it has samples.

        Raises
        ------
        ValueError
            If ``n_splits`` is too small.
        """
        if self.protocol == PAPER:
            return splits.repeated(data.labels, n_splits=1, test_fraction=TEST_FRACTION, random_state=PAPER_SEED)
        fewest = 1 if data.sample is None else 2
        if self.n_splits < fewest:
            more = " with a sample_key" if fewest == 2 else ""
            raise ValueError(f"n_splits={self.n_splits} must be at least {fewest}{more}.")
        if data.sample is None:
            n = self.n_splits * self.n_seeds
            return splits.repeated(data.labels, n_splits=n, test_fraction=TEST_FRACTION, random_state=self.random_state)
        sample = data.sample.codes[data.cells]
        how = {"n_splits": self.n_splits, "n_seeds": self.n_seeds, "random_state": self.random_state}
        return splits.by_sample(data.labels, sample, **how)


def in_words(options: Mapping[str, Any], n: int) -> str:
    """How cells were split into ``n`` splits, as reports and commands say it.

    Parameters
    ----------
    options
        Recorded ones of `smash_gpu.tl.evaluate`.
    """
    share, sample_key = f"with {100 * (1 - TEST_FRACTION):.0f} % training cells", options.get("sample_key")
    if options.get("protocol") == PAPER:
        return f"one stratified split {share}, seed {PAPER_SEED}"
    how = f"{n} stratified splits {share}"
    if sample_key is not None:
        how = f"whole samples held out (column {sample_key}), {n} folds"
    seed, n_seeds = options.get("random_state"), options.get("n_seeds", 1)
    repeated = f", repeated with {n_seeds} seeds" if n_seeds > 1 else ""
    fewest = options.get("min_cells")
    return f"{how}, seed {seed}{repeated}" + (f", classes of at least {fewest} cells" if fewest else "")
