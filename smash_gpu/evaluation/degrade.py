"""Simulates a less sensitive platform: thinned counts and failing genes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from smash_gpu.compute.ops import labelled
from smash_gpu.compute.xp import place
from smash_gpu.data.dataset import Dataset
from smash_gpu.evaluation.judging import Condition


def check(data: Dataset, conditions: Iterable[Condition]) -> None:
    """Raise a ValueError if a condition thins counts but the data are log-normalised."""
    if data.target_sum is None and any(condition.thin < 1 for condition in conditions):
        raise ValueError("thin= needs raw counts, but the data are log-normalised (normalize=False); pass layer=.")


def expression(data: Dataset, genes: np.ndarray, thin: float, random_state: int) -> Any:
    """Expression ``e`` of the numbered genes if only a share ``thin`` of all counts had been seen; cells × genes.

    It stays in the memory of ``data.device``.

    Every count is kept with that probability (binomial thinning); the library size shrinks by its expectation. Each
    gene has its own random numbers, so its result does not depend on which other genes are requested, or in which
    order.

    Raises
    ------
    ValueError
        If the matrix holds fractional values.
    """
    if thin == 1:
        return data.expression(genes)
    counts = replace(data, target_sum=None).host_expression(genes)
    if (counts != np.floor(counts)).any():
        raise ValueError("thin= needs raw counts, but the matrix holds fractional values; pass raw counts with layer=.")
    factor = data.target_sum / np.maximum(thin * library_sizes(data), 1e-300)
    for column, gene in enumerate(genes):
        rng = np.random.default_rng((random_state, *_seed(data.names[gene])))
        kept = rng.binomial(counts[:, column].astype(np.int64), thin)
        counts[:, column] = np.log1p(kept * factor)
    return place(counts, data.device)


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
