"""A panel from what is known of the classes and genes already, without a look at the cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smash_gpu.data.stats import GroupStats
from smash_gpu.panel.choice import design
from smash_gpu.panel.classes import Classes
from smash_gpu.panel.constraints import Candidates, Caps, Expression, Genes
from smash_gpu.panel.importance import weights
from smash_gpu.panel.objective import Objective, tau_for
from smash_gpu.panel.pairs import weighted_pairs
from smash_gpu.panel.problem import Problem
from smash_gpu.panel.profiles import Profiles
from smash_gpu.panel.request import OUT, Request


def choose_known(
    n_genes: int,
    *,
    mean: np.ndarray,
    variance: np.ndarray,
    importance: np.ndarray,
    may_be_high: np.ndarray,
    tier: np.ndarray,
    names: np.ndarray,
    nested: bool,
    device: str = "cpu",
) -> np.ndarray:
    """Numbers of ``n_genes`` genes in order of choice, by the objective of `tl.panel` with `importance.weights`.

    All pairs of classes weigh the same, and there are no caps.

    Parameters
    ----------
    mean, variance
        Of expression in every class; classes × genes.
    may_be_high
        Whether a gene may separate a class from one in which it is lower; classes × genes.
    importance, tier, names
        Of every gene: its importance for a model, its tier (as in `constraints.Candidates`), its name.
    """
    genes = np.flatnonzero(tier < OUT)
    mean, variance = (np.asarray(array[:, genes], dtype=np.float64) for array in (mean, variance))
    limits = _limits(mean, may_be_high[:, genes])
    profiles = Profiles(mean, variance, *limits, weight=weights(importance)[None, genes])
    return genes[design(_problem(Request(n_genes, nested), profiles, tier[genes], names[genes], device)).panel]


def _limits(mean: np.ndarray, may_be_high: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """``low`` and ``high`` of `Profiles` that keep a class without leave off the upper side of the middle."""
    return (None, None) if may_be_high.all() else (np.where(may_be_high, mean, -np.inf), mean)


def _problem(request: Request, profiles: Profiles, tier: np.ndarray, names: np.ndarray, device: str) -> Problem:
    n_classes, n_genes = profiles.mean.shape
    labels = np.array([str(number) for number in range(n_classes)], dtype=object)
    classes = Classes(np.full(n_classes, "group", dtype=object), labels, np.ones(n_classes, dtype=np.int64))
    pairs = weighted_pairs(classes, {"group": 1.0})
    objective = Objective(profiles, pairs.first, pairs.second, pairs.weight, tau_for(request.n_genes)).on(device)
    nothing = np.zeros(0, dtype=object)
    return Problem(
        request,
        Genes(names, names),
        classes,
        _not_counted(classes, n_genes),
        objective,
        Candidates(tier, tier, np.zeros(0, dtype=int), {}, pd.DataFrame()),
        Caps(nothing, nothing, np.zeros((0, n_genes)), np.zeros(0), request.n_genes),
        np.ones(n_genes),
        np.zeros((n_classes, n_genes), dtype=bool),
        np.zeros(n_classes, dtype=int),
    )


def _not_counted(classes: Classes, n_genes: int) -> Expression:
    shape = len(classes.names), n_genes
    sums = GroupStats(classes.n_cells, *(np.zeros(shape) for _ in range(4)))
    return Expression(classes, sums, sums, "only means and variances are known")
