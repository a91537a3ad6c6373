"""A design as tidy tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.compute.xp import to_host
from smash_gpu.panel.certificate import PURPOSES, certificate, possible_separation
from smash_gpu.panel.lifted import resolutions
from smash_gpu.panel.request import MUST, ORDINARY, SPARE, WANTED
from smash_gpu.panel.result import Design
from smash_gpu.panel.slide import slide_table
from smash_gpu.panel.substitutes import exchanges, exchanges_by_variation, largest, substitutes
from smash_gpu.panel.variation import Variation

HARDEST_PAIRS = 100
HALF = 0.5
BHATTACHARYYA = 4.0  # τ with which 1 − F is the bound on the error
PRIORITY = {MUST: "must", WANTED: "wanted", ORDINARY: "", SPARE: "spare"}


def tables(design: Design) -> dict[str, pd.DataFrame]:
    """The tables ``genes``, ``pairs``, ``purposes``, ``curve``, ``rules``, ``caps``, ``certificate`` and ``slide``."""
    purposes = purpose_table(design)
    curve = curve_table(design)
    genes = gene_table(design, purposes, curve)
    return {
        "genes": genes,
        "pairs": pair_table(design),
        "purposes": purposes,
        "curve": curve,
        "rules": design.problem.found.ledger,
        "caps": cap_table(design),
        "certificate": certificate(design),
        "slide": slide_table(design, genes),
    }


def gene_table(design: Design, purposes: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """One row per gene, in order of choice."""
    problem, panel = design.problem, design.panel
    names = problem.genes.names
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(panel) + 1),
            "name": names[panel],
            "symbol": problem.genes.symbols[panel],
            "priority": [PRIORITY[tier] for tier in problem.found.tier[panel]],
        }
    )
    table = table.assign(**(_explained if problem.is_label_free else _resolved)(design, purposes, curve))
    if problem.variation is not None:
        table["variation"] = curve["variation"].to_numpy()[1:]
    if design.probe_sets is not None:
        table["probe_sets"] = design.probe_sets
    if (failure := design.objective.profiles.failure) is not None:
        table["failure_rate"] = to_host(failure)[0, panel]
    if not problem.expressed.why_no_counts:
        counts = problem.expressed.counts_per_cell()[:, panel]
        table["mean_counts"] = problem.expressed.mean()[panel]
        table["max_counts"] = counts.max(axis=0)
        table["max_class"] = problem.classes.labels[counts.argmax(axis=0)]
    return table


def _resolved(design: Design, purposes: pd.DataFrame, curve: pd.DataFrame) -> dict[str, Any]:
    """What each gene resolves, and what could take its place."""
    instead, next_best = substitutes(design), exchanges(design)
    names, ceiling = design.problem.genes.names, design.objective.ceiling
    return {
        "gain": design.gain / ceiling,
        "resolution": curve["resolution"].to_numpy()[1:],
        "of_bound": curve["of_bound"].to_numpy()[1:],
        "resolves": _main_purposes(purposes, names[design.panel]),
        "loss": next_best.loss / ceiling,
        "substitute": _named(names, instead.gene),
        "replaces": instead.share,
        "loss_with_substitute": instead.loss_with / ceiling,
        "next_best": _named(names, next_best.gene),
        "loss_with_next_best": next_best.loss_with / ceiling,
    }


def _explained(design: Design, purposes: pd.DataFrame, curve: pd.DataFrame) -> dict[str, Any]:
    """What each gene explains of the variation, and what could take its place; for panels without classes."""
    next_best = exchanges_by_variation(design)
    return {
        "gain": np.diff(curve["variation"]),
        "loss": next_best.loss,
        "next_best": _named(design.problem.genes.names, next_best.gene),
        "loss_with_next_best": next_best.loss_with,
    }


def purpose_table(design: Design) -> pd.DataFrame:
    """The pairs that lose most without each gene; one row per gene and pair, with its share of the loss."""
    rows = []
    for gene in design.panel:
        lost = to_host(design.left_without(gene) - design.left)
        top = largest(lost, PURPOSES)
        rows += [(gene, pair, lost[pair] / max(lost.sum(), 1e-300)) for pair in top if lost[pair] > 0]
    gene, pair, share = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0, int),) * 3
    return pd.DataFrame({"name": design.problem.genes.names[gene.astype(int)]} | _named_pairs(design, pair)).assign(
        share=share
    )


def pair_table(design: Design) -> pd.DataFrame:
    """One row per pair of classes, the least resolved first.

    ``depth`` is D, ``resolved`` is 1 − exp(−D / τ), ``error_bound`` the Bhattacharyya bound ½ exp(−D / 4) on the error
    between two equally frequent classes if genes were normal and independent, of the D without weights of genes; its
    mean, where genes may fail. For the first `HARDEST_PAIRS` pairs, ``possible`` is the share that would be resolved if
    all genes were chosen for this pair alone.
    """
    depth = to_host(design.depth)
    resolved = to_host(design.objective.resolved(design.depth))
    order = np.argsort(resolved, kind="stable")
    possible = np.full(len(order), np.nan)
    hardest = order[:HARDEST_PAIRS]
    possible[hardest] = possible_separation(design, hardest)
    plain = not design.is_weighted and design.objective.profiles.failure is None
    bounded = depth if plain else to_host(design.objective.unweighted.with_tau(BHATTACHARYYA).depth(design.whole))
    table = pd.DataFrame(_named_pairs(design, np.arange(len(order)))).assign(
        weight=to_host(design.objective.weight), depth=depth, resolved=resolved,
        error_bound=HALF * np.exp(-bounded / BHATTACHARYYA), possible=possible,
    )  # fmt: skip
    return table.iloc[order].reset_index(drop=True)


def curve_table(design: Design) -> pd.DataFrame:
    """One row per prefix of the panel, starting with the existing genes alone.

    ``resolution`` is F divided by F of all genes, both with the τ of the whole list. ``bound`` is the upper bound on it
    for any panel of this size, given where τ is the same (in a nested list: the long prefixes). ``of_bound`` is F
    divided by its bound, with the τ of that step. ``half_resolved`` is the share of pairs resolved by more than half.
    All these are of the weighted objective, if genes have weights; ``unweighted_resolution`` then is the resolution
    with all weights 1. If the variation counts, ``variation`` is V and ``variation_bound`` an upper bound on it;
    without classes there is nothing else.
    """
    if design.problem.is_label_free:
        return _label_free_curve(design)
    objective, problem = design.objective, design.problem
    values, halves, weakest = _prefixes(design)
    everything = max(design.most.value_of_all(), values[-1])  # F is monotone, but for rounding
    same = design.tau == objective.tau
    bound = np.where(same, np.minimum(design.bound, everything), design.bound)
    table = pd.DataFrame(
        {
            "n_genes": np.arange(len(values)),
            "resolution": np.array(values) / everything,
            "bound": np.append(values[0] / everything, np.where(same, bound / everything, np.nan)),
            "of_bound": np.append(1.0, np.minimum(1.0, design.value / bound)),
            "half_resolved": halves,
            "weakest_pair": _pair_names(design, weakest),
        }
    )
    table = table if problem.variation is None else table.assign(**_variation(design, problem.variation))
    return table.assign(unweighted_resolution=_unweighted_resolution(design)) if design.is_weighted else table


def _label_free_curve(design: Design) -> pd.DataFrame:
    assert design.problem.variation is not None, "without classes the variation decides"
    return pd.DataFrame({"n_genes": np.arange(len(design.panel) + 1)} | _variation(design, design.problem.variation))


def _variation(design: Design, variation: Variation) -> dict[str, list[float]]:
    """``V`` of every prefix of the panel, and its bound."""
    existing = design.problem.found.existing
    explained = variation.explained(existing)
    shares = [explained.share]
    for gene in design.panel:
        explained = explained.with_gene(gene)  # only the last is kept: it holds genes × genes of the panel
        shares.append(explained.share)
    return {
        "variation": shares,
        "variation_bound": [variation.bound(len(existing) + n) for n in range(len(shares))],
    }


def _unweighted_resolution(design: Design) -> np.ndarray:
    """F divided by F of all genes, with all weights 1, of every prefix of the panel."""
    objective = design.objective.unweighted
    depth = objective.depth(design.problem.found.existing)
    values = [objective.value(depth)]
    for gene in design.panel:
        depth = depth + objective.separation(gene)
        values.append(objective.value(depth))
    return np.array(values) / max(objective.value_of_all(), values[-1])


def cap_table(design: Design) -> pd.DataFrame:
    """One row per cap or quota: the quantity, the class or group, what the panel and existing genes use, the limit.

    With quotas, ``resolution_without`` is the resolution of a panel designed without the quota, where it is full;
    without classes ``variation_without`` is its share of the variation.
    """
    caps = design.problem.caps
    used, limit = (caps.as_asked(slice(None), values) for values in (caps.used(design.whole), caps.limit))
    table = pd.DataFrame({"constraint": caps.what, "of": caps.of, "used": used, "limit": limit})
    what = "variation_without" if design.problem.is_label_free else "resolution_without"
    return table.assign(**{what: resolutions(design)}) if caps.is_quota.any() else table


def _named(names: np.ndarray, genes: np.ndarray) -> list[str]:
    return [names[gene] if gene >= 0 else "" for gene in genes]


def _prefixes(design: Design) -> tuple[list[float], list[float], np.ndarray]:
    """Of every prefix of the panel: F, the share of pairs resolved by more than half, and the least resolved pair."""
    objective = design.objective
    depth, found = objective.depth(design.problem.found.existing), []
    for gene in (None, *design.panel):
        depth = depth if gene is None else depth + objective.separation(gene)
        resolved = objective.resolved(depth)
        value = float(objective.weight @ resolved)
        found.append((value, float((resolved > HALF).mean()), int(resolved.argmin())))
    values, halves, weakest = zip(*found, strict=True)
    return list(values), list(halves), np.array(weakest)


def _pair_names(design: Design, pairs: np.ndarray) -> list[str]:
    named = _named_pairs(design, pairs)
    return [f"{a} | {b}" for a, b in zip(named["class_a"], named["class_b"], strict=True)]


def _named_pairs(design: Design, pairs: np.ndarray) -> dict[str, np.ndarray]:
    classes = design.problem.classes
    first, second = (to_host(rows)[pairs.astype(int)] for rows in (design.objective.first, design.objective.second))
    levels = pd.Categorical.from_codes(classes.level_codes[first], list(classes.spans))
    return {"column": levels, "class_a": classes.names[first], "class_b": classes.names[second]}


def _main_purposes(purposes: pd.DataFrame, names: np.ndarray) -> list[str]:
    first = purposes.drop_duplicates("name").set_index("name")
    said = {row.Index: f"{row.class_a} | {row.class_b}" for row in first.itertuples()}
    return [said.get(name, "") for name in names]
