"""The certificate: the markers of each class, why there are fewer than requested, and what would help."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smash_gpu.compute.xp import namespace, to_host
from smash_gpu.panel.lifted import markers_missing
from smash_gpu.panel.markers import markers, rivals
from smash_gpu.panel.problem import ignored_classes
from smash_gpu.panel.request import MUST, OUT
from smash_gpu.panel.result import Design

PURPOSES = 3
MERGE = "merge it with the class that is hardest to separate from it"
SEPARATIONS_UNASKED = 2**27  # pairs × genes


def certificate(design: Design) -> pd.DataFrame:
    """One row per class; those with fewer markers than requested first.

    ``in_data`` and ``allowed`` count its markers among all genes and among those that the rules leave. ``hardest``
    names the classes from which the fewest genes separate it. ``possible`` is the share of its hardest pair that would
    be resolved if all genes were chosen for this pair alone. ``reason`` and ``way_out`` are sentences, empty where no
    marker is missing; a class without a marker has a reason also where none was requested. The table is empty without
    classes, and without requested markers for more than `SEPARATIONS_UNASKED` pairs × genes.
    """
    problem = design.problem
    classes = problem.classes
    profiles = design.objective.profiles.on("cpu")
    ignored = ignored_classes(classes, problem.request)
    rows: list[tuple] = []
    few = len(design.objective.weight) * profiles.n_genes <= SEPARATIONS_UNASKED
    if not problem.is_label_free and (problem.promised.any() or few):
        marks = problem.markers if problem.promised.any() else markers(profiles, classes, ignored)
        held = marks[:, design.whole].sum(axis=1)
        short = held < problem.promised
        rows = [_row(design, int(row), marks, held) for row in np.lexsort((np.arange(len(held)), ~short))]
    columns = ["column", "class", "asked", "found", "in_data", "allowed", "hardest", "possible", "reason", "way_out"]
    return pd.DataFrame(rows, columns=columns)


def missing(certificate: pd.DataFrame) -> pd.DataFrame:
    """The rows of classes with fewer markers than requested."""
    return certificate[certificate["found"] < certificate["asked"]]


def _row(design: Design, row: int, marks: np.ndarray, held: np.ndarray) -> tuple:
    problem = design.problem
    classes, asked = problem.classes, problem.promised[row]
    mine = marks[row]
    in_data, allowed = int(mine.sum()), int((mine & _usable(design)).sum())
    hardest, possible = _hardest(design, row)
    reason, way_out = (
        _reason(design, row, in_data, allowed, held) if held[row] < asked
        else _unasked(design, row, in_data, allowed) if held[row] == 0
        else ("", "")
    )  # fmt: skip
    numbers = asked, held[row], in_data, allowed
    return classes.levels[row], classes.names[row], *numbers, hardest, possible, reason, way_out


def _hardest(design: Design, row: int) -> tuple[str, float]:
    """The classes that the fewest genes separate from this one, and what is possible for the first of them."""
    problem, classes = design.problem, design.problem.classes
    ignored = ignored_classes(classes, problem.request)
    others, exceeding = rivals(design.objective.profiles.on("cpu"), classes, ignored, row)
    if ignored[row] or not len(others):
        return "", np.nan
    by = exceeding.sum(axis=1)
    worst = np.argsort(by, kind="stable")[:PURPOSES]
    pair = _pair_of(design, row, others[worst[0]])
    possible = float(possible_separation(design, np.array([pair]))[0]) if pair is not None else np.nan
    return ", ".join(f"{classes.names[others[i]]} ({by[i]} gene{'' if by[i] == 1 else 's'})" for i in worst), possible


def _unasked(design: Design, row: int, in_data: int, allowed: int) -> tuple[str, str]:
    """Why a class has no marker of which none was requested."""
    if ignored_classes(design.problem.classes, design.problem.request)[row]:
        return "the class is ignored", ""
    if in_data == 0:
        return "no gene in the data is a marker of this class", MERGE
    if allowed == 0:
        return f"the rules remove {_all_of(in_data)} of this class", "see the table of rules"
    return (
        "no marker was requested; the pairs of this class say how well other genes tell it apart",
        "request at least one marker",
    )


def _all_of(n: int) -> str:
    return "the only marker" if n == 1 else f"all {n} markers"


def _reason(design: Design, row: int, in_data: int, allowed: int, held: np.ndarray) -> tuple[str, str]:
    problem, asked = design.problem, design.problem.promised[row]
    if in_data < asked:
        return (
            "too few genes in the data are markers of this class",
            f"{MERGE}, or request fewer markers",
        )
    if allowed < asked:
        mine = problem.markers[row]
        taken = {rule: int((mine & hit).sum()) for rule, hit in problem.found.hits.items()}
        rule = max(taken, key=taken.__getitem__)
        alone = mine & problem.found.hits[rule]
        for other, hit in problem.found.hits.items():
            alone = alone & ~hit if other != rule else alone
        return f"the rules leave too few of its markers; {rule!r} removes {taken[rule]}", (
            f"without {rule!r} it could have {allowed + int(alone.sum())}"
        )
    lacking = int(np.maximum(np.minimum(problem.promised, _attainable(design)) - held, 0).sum())
    limits = {"caps": (~problem.caps.is_quota).any(), "quotas": problem.caps.is_quota.any()}
    capped = " and ".join(name for name, some in limits.items() if some)
    size = f"{len(design.panel)} genes{' within the ' * bool(capped)}{capped}"
    less = [f"without the quota {name!r} {left} are missing" for name, left in markers_missing(design, lacking)]
    way_out = "; ".join(["allow more genes, or raise the caps", *less])
    if design.least_lacking >= lacking:
        return f"every choice of {size} misses at least {lacking} of the requested markers", way_out
    return (
        f"no {size} were found that miss fewer than {lacking} of the requested markers; at least "
        f"{design.least_lacking} are missing in any case",
        way_out,
    )


def _attainable(design: Design) -> np.ndarray:
    """Number of markers of each class among the genes that the rules leave."""
    return design.problem.markers[:, _usable(design)].sum(axis=1)


def _usable(design: Design) -> np.ndarray:
    """The genes that the rules leave, and the existing ones."""
    usable = design.problem.found.tier < OUT
    usable[design.problem.found.existing] = True
    return usable


def possible_separation(design: Design, pairs: np.ndarray) -> np.ndarray:
    """The resolved share of each pair with the existing genes, the required genes and the best other genes."""
    problem, objective = design.problem, design.most
    there = namespace(objective.weight).asarray(pairs)
    given = np.concatenate([problem.found.existing, problem.must])
    depth = to_host(objective.separations(given, there).sum(axis=1))
    free = np.flatnonzero((problem.found.tier < OUT) & (problem.found.tier != MUST))
    s = to_host(objective.separations(free, there))
    n = min(len(design.panel) - len(problem.must), len(free))
    best = np.partition(s, len(free) - n, axis=1)[:, len(free) - n :].sum(axis=1) if n else 0.0
    return -np.expm1(-(depth + best) / objective.tau)


def _pair_of(design: Design, a: int, b: int) -> int | None:
    first, second = to_host(design.objective.first), to_host(design.objective.second)
    found = np.flatnonzero((first == min(a, b)) & (second == max(a, b)))
    return int(found[0]) if len(found) else None
