"""What the quotas of a panel cost: what it would be without each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from smash_gpu.panel.choice import design as designed
from smash_gpu.panel.feasible import ROUNDING, completion
from smash_gpu.panel.problem import Problem
from smash_gpu.panel.result import Design
from smash_gpu.panel.runs import task_of

SEPARATIONS_FOR_DESIGNS = 2**24  # pairs × genes; above this, a design without each quota takes too long


def resolutions(design: Design) -> np.ndarray:
    """Resolution of a panel designed without each quota that is full, at least that of this one; NaN elsewhere.

    Of a panel without classes, the explained share of the variation.
    """
    caps, objective = design.problem.caps, design.objective
    found = np.full(len(caps.what), np.nan)
    if len(objective.weight) * objective.profiles.n_genes > SEPARATIONS_FOR_DESIGNS:
        return found
    full = caps.used(design.whole) >= caps.limit - ROUNDING
    for row in np.flatnonzero(caps.is_quota & full).tolist():
        if design.problem.is_label_free:
            found[row] = max(design.merit, designed(without(design.problem, row)).merit)
            continue
        everything = max(design.most.value_of_all(), design.value[-1])
        problem = without(design.problem, row)
        found[row] = max(design.value[-1], designed(problem).value[-1]) / everything
    return found


def without(problem: Problem, row: int) -> Problem:
    """The problem without one of its caps."""
    sets, kept = problem.probe_sets, np.arange(len(problem.caps.what)) != row
    if sets is None:
        return replace(problem, caps=problem.caps.of_rows(kept))
    return replace(sets, most=replace(sets.most, caps=sets.most.caps.of_rows(kept))).at(sets.high)


def markers_missing(design: Design, missing: int) -> Iterator[tuple[str, int]]:
    """The quotas without which fewer than ``missing`` of the requested markers are missing, and how many then are."""
    problem, task = design.problem, task_of(design.problem)
    for row in np.flatnonzero(problem.caps.is_quota):
        kept = np.arange(len(problem.caps.what)) != row
        fewer = replace(task, load=task.load[kept], room=task.room[kept])
        found = completion(fewer).panel
        left = missing if found is None else int(fewer.lacks(found).sum())
        if left < missing:
            yield problem.caps.of[row], left
