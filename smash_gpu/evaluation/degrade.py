"""Simulates another platform: thinned counts, failing genes, genes read better or worse, false counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from smash_gpu.compute.ops import labelled
from smash_gpu.compute.xp import place
from smash_gpu.data.dataset import Dataset
from smash_gpu.evaluation.judging import INTACT, Condition

BIAS, BACKGROUND = 2**20, 2**20 + 1  # part of the seed; a byte of a name is below


def check(data: Dataset, conditions: Iterable[Condition]) -> None:
    """Raise a ValueError if a condition changes counts but the data are log-normalised."""
    changed = next((_named(condition) for condition in conditions if condition.values != INTACT), "")
    if changed and data.target_sum is None:
        raise ValueError(f"{changed} needs raw counts, but the data are log-normalised (normalize=False); pass layer=.")


def expression(data: Dataset, genes: np.ndarray, condition: Condition, random_state: int) -> Any:
    """Expression ``e`` of the numbered genes as a simulated platform would have counted them; cells × genes.

    It stays in the memory of ``data.device``.

    A count becomes ``thin`` · b counts on average, b = exp(``gene_bias`` · N(0, 1)) drawn once per gene: the whole part
    of this number for certain, one more with the rest as probability (at most one: binomial thinning). Then false
    counts are added, Poisson with mean ``background``. The library size shrinks by ``thin``, its expectation without
    the others. Each gene has its own random numbers, so its result does not depend on which other genes are requested,
    or in which order.

    Raises
    ------
    ValueError
        If the matrix holds fractional values.
    """
    if condition.values == INTACT:
        return data.expression(genes)
    counts = replace(data, target_sum=None).host_expression(genes)
    if (counts != np.floor(counts)).any():
        raise ValueError(
            f"{_named(condition)} needs raw counts, but the matrix holds fractional values; pass raw counts with "
            "layer=."
        )
    factor = data.target_sum / np.maximum(condition.thin * library_sizes(data), 1e-300)
    for column, gene in enumerate(genes):
        seed = (random_state, *_seed(data.names[gene]))
        counts[:, column] = np.log1p(_counted(counts[:, column].astype(np.int64), condition, seed) * factor)
    return place(counts, data.device)


def _counted(counts: np.ndarray, condition: Condition, seed: tuple[int, ...]) -> np.ndarray:
    bias = np.exp(condition.gene_bias * np.random.default_rng((*seed, BIAS)).standard_normal())
    whole, rest = divmod(condition.thin * bias, 1)
    found = counts * int(whole) + np.random.default_rng(seed).binomial(counts, rest)
    return found + np.random.default_rng((*seed, BACKGROUND)).poisson(condition.background, len(counts))


def _named(condition: Condition) -> str:
    """The first option that changes counts."""
    return next(
        f"{name}=" for name in ("thin", "gene_bias", "background") if getattr(condition, name) != getattr(INTACT, name)
    )


def library_sizes(data: Dataset) -> np.ndarray:
    """Sum of the stored values of each of ``data.cells``; float64."""
    parts = (labelled(*part) for part in data.blocks())
    return np.concatenate([np.asarray(part.sum(axis=1, dtype=np.float64)).ravel() for part in parts])


def failed(names: np.ndarray, dropout: float, seed: tuple[int, ...]) -> np.ndarray:
    """Mask of the named genes that fail, each with probability ``dropout``; the same genes fail in every list."""
    if not dropout:
        return np.zeros(len(names), dtype=bool)
    return np.array([np.random.default_rng((*seed, *_seed(name))).random() < dropout for name in names])


def _seed(name: str) -> tuple[int, ...]:
    """Seed numbers from the name of a gene, independent of its place in the matrix."""
    return tuple(str(name).encode())
