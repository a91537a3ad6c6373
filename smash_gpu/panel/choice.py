"""The choice: exactly N genes under all constraints, and how many probe sets each of them gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smash_gpu.errors import InfeasibleError
from smash_gpu.panel.exact import improved
from smash_gpu.panel.more_sets import with_more_sets
from smash_gpu.panel.problem import Problem
from smash_gpu.panel.request import SPARE, WANTED
from smash_gpu.panel.result import Design
from smash_gpu.panel.runs import Attempts, Run
from smash_gpu.panel.substitutes import exchanged

CAP_PRICES = (0.3, 1.0, 3.0)
SEPARATIONS_FOR_PRICES = 2**26  # pairs × genes of the panel
ROUNDS = 3  # of exchanges of genes, and of more probe sets


def design(asked: Problem) -> Design:
    """Choose exactly ``n_genes`` genes: the required ones first, then by tier and gain.

    If a cap excluded a gene, further runs use the gain per share of places and caps, as for a knapsack (Leskovec et
    al. 2007). Where the number of probe sets is a decision, runs with fewer sets for bright genes follow. Genes of the
    best run are then swapped one at a time while F rises; small problems are solved exactly. The result is ordered by
    gain. If the variation counts, the choice is by J, and nothing is swapped.

    Raises
    ------
    InfeasibleError
        If no panel of exactly ``n_genes`` genes meets the constraints.
    """
    if asked.probe_sets is None:
        attempts = Attempts(asked)
        plain = attempts.run()
        return attempts.design(plain) if not plain.capped else _ordered(_swapped(_best_run(attempts, plain)), attempts)
    most = asked.with_most_probe_sets
    try:
        attempts = Attempts(most)
        plain = attempts.run()
        if not plain.capped:
            return attempts.design(plain)
        first = _best_run(attempts, plain)
        found = [first.of(exchanged(first))]  # so that a choice of probe sets is no worse than none
    except InfeasibleError:
        found = []
    best = _with_fewer_sets(most, found)
    return _ordered(best, Attempts(best.problem))


def _best_run(attempts: Attempts, plain: Run) -> Design:
    """The best of the plain run and of runs at different prices, or at one price if the runs are long."""
    long = len(attempts.asked.objective.weight) * attempts.asked.request.n_genes > SEPARATIONS_FOR_PRICES
    runs = [plain, *(attempts.run(price) for price in CAP_PRICES if price == 1 or not long)]
    return attempts.design(max(runs, key=lambda run: run.merit))


def _swapped(found: Design) -> Design:
    return improved(found.of(exchanged(found)))


def _with_fewer_sets(most: Problem, found: list[Design]) -> Design:
    """The best design of those that give bright genes fewer probe sets and those found already.

    The numbers of sets by the best of several rules are the start: other prices are tried with them, then more sets
    where there is room, and exchanges of genes.

    Raises
    ------
    InfeasibleError
        If none fits with the least probe sets of every gene.
    """
    tried: list[tuple[Design, Attempts, Run]] = []
    sets = most.probe_sets
    assert sets is not None
    for number in sets.by_brightness(most.request.n_genes):
        try:
            attempts = Attempts(sets.at(number))
        except InfeasibleError:
            if (number == sets.low).all() and not found:
                raise
            continue
        plain = attempts.run()
        tried.append((with_more_sets(attempts.design(plain)), attempts, plain))
    if tried:
        _, attempts, plain = max(tried, key=lambda trial: _merit(trial[0]))
        found = [*found, *(trial[0] for trial in tried), with_more_sets(_best_run(attempts, plain))]
    best = max(found, key=_merit)
    for _ in range(ROUNDS):
        better = with_more_sets(best.of(exchanged(best)))
        if better.value[-1] <= best.value[-1]:
            break
        best = better
    return improved(replace(best, least_lacking=min(design.least_lacking for design in found)))


def _merit(found: Design) -> tuple:
    """What makes one design better than another: markers, then priorities, then F (or J)."""
    problem = found.problem
    held = np.minimum(problem.markers[:, found.whole].sum(axis=1), problem.promised).sum()
    tier = problem.found.tier[found.panel]
    return held, (tier == WANTED).sum(), -(tier == SPARE).sum(), found.merit


def _ordered(found: Design, attempts: Attempts) -> Design:
    """The design with its genes in the order of their gains, and its bounds; ``attempts`` are for the same problem."""
    ordered = attempts.design(attempts.run(within=found.panel))
    bound = np.append(ordered.bound[:-1], max(ordered.value[-1], min(ordered.bound[-1], found.proven)))
    least = min(ordered.least_lacking, found.least_lacking)
    return replace(ordered, bound=bound, least_lacking=least, proven=found.proven)
