"""Probe sets per gene: what a gene with fewer of them adds to the transcripts per cell, and how much it separates.

A gene with p of at most P probe sets is seen with the share q = p / P of its transcripts, each of them independently.
What is seen of Poisson counts is again Poisson, so that only the sampling part of the variance of a class grows, by the
factor 1 / q, and with it ε::

    s_g(a, b; q) = (m_a − m_b)² / (v_a + v_b + ε + (1 / q − 1) (u_a + u_b + ε))

with u the sampling variance, not above v. It is the usual s at q = 1, rises with q, and rises ever more slowly: a gene
that is limited by sampling (u = v) separates in proportion to its probe sets, a bright one (u « v) hardly less.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smash_gpu.compute.xp import on_gpu, place
from smash_gpu.panel.constraints import TRANSCRIPTS, Caps, Expression
from smash_gpu.panel.objective import Objective

TARGET = 1e4  # counts of a cell after normalisation


def thinned(objective: Objective, noise: np.ndarray, share: np.ndarray) -> Objective:
    """The objective if only a share of the transcripts of each gene is seen."""
    variance = objective.profiles.variance
    more = place((1 / share - 1) * noise, "cuda" if on_gpu(variance) else "cpu")
    return replace(objective, profiles=replace(objective.profiles, variance=variance + more))


def scaled(caps: Caps) -> np.ndarray:
    """Mask of the caps whose loads are in proportion to the number of probe sets."""
    return caps.what == TRANSCRIPTS


def fewer(caps: Caps, share: np.ndarray) -> Caps:
    """The caps if only a share of the transcripts of each gene is seen."""
    return replace(caps, load=np.where(scaled(caps)[:, None], caps.load * share, caps.load))


def sampling_variance(expressed: Expression, variance: np.ndarray) -> np.ndarray:
    """The part of the variance of log-normalised expression that Poisson counts of the class mean have, at most all.

    By the delta method, ``(d e / d x)² μ`` at the mean count μ with ``e = log(1 + a x)``, where a is 10⁴ over the mean
    counts per cell of the class; classes × genes.
    """
    counts = expressed.counts_per_cell()
    a = TARGET / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    return np.minimum(variance, a**2 * counts / (1 + a * counts) ** 2)
