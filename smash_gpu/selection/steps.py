"""The four steps on a `Dataset`: filter, inverse PCA, importance, ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.compute import pca
from smash_gpu.compute.xp import namespace
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.standardize import Z_CEILING
from smash_gpu.data.stats import GroupStats
from smash_gpu.errors import NothingLeftError, warn
from smash_gpu.genes import filters as gene_filters
from smash_gpu.panel.importance import weights
from smash_gpu.runtime.cluster import is_dask
from smash_gpu.runtime.words import join_names
from smash_gpu.selection import ranking
from smash_gpu.selection.consensus import add_agreement
from smash_gpu.selection.effects import Effects
from smash_gpu.selection.options import Filters, InversePCA, Ranking, Recipe
from smash_gpu.selection.scores import Scores
from smash_gpu.selection.scoring import importance

PROFILES = ("mean", "variance", "fraction")


@dataclass(frozen=True)
class Selection:
    """The results of the four steps. Arrays are groups × genes.

    ``eligible`` holds the scores, NaN where a gene may not be a marker; ``spare`` those of genes whose effect is too
    small for a marker, which may complete a panel. ``mean`` and ``variance`` are of expression, ``fraction`` is the
    share of cells that express the gene; all float32.
    """

    groups: np.ndarray
    candidates: np.ndarray
    ledger: pd.DataFrame
    scores: Scores
    eligible: np.ndarray
    spare: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    fraction: np.ndarray
    markers: pd.DataFrame


def filter_genes(data: Dataset, filters: Filters) -> tuple[np.ndarray, pd.DataFrame]:
    """Mask of candidate genes, and a table of what each rule removed.

    Raises
    ------
    NothingLeftError
        If no gene is left.
    KeyError
        If a gene in ``exclude`` or ``keep`` is absent.
    """
    keep = data.gene_names.mask(filters.keep, "keep")
    rules = {"excluded by the user": data.gene_names.mask(filters.exclude, "exclude")}
    rules |= gene_filters.family_rules(filters.families, data.symbols, filters.species, what="families")
    rare = f"detected in < {filters.min_fraction:.0%} of every class"
    rules[rare] = ~gene_filters.expressed(data.stats.fraction, filters.min_fraction)
    if filters.max_fraction is not None:
        common = f"detected in ≥ {filters.max_fraction:.0%} of the cells of ≥ {filters.max_groups:.0%} of the classes"
        rules[common] = gene_filters.ubiquitous(data.stats.fraction, filters.max_fraction, filters.max_groups)
    mask, ledger = gene_filters.ledger(rules, keep)
    if not mask.any():
        raise NothingLeftError(
            "no gene is left after the filters:\n" + ledger.to_string(index=False) + "\n"
            "Relax the rule that removed the most genes (min_fraction, max_fraction, max_groups, families, exclude), "
            "or pass keep= with the genes that must stay."
        )
    return mask, ledger


def inverse_pca(data: Dataset, candidates: np.ndarray, how: InversePCA) -> tuple[np.ndarray, pd.DataFrame]:
    """Mask of candidates with a large loading on a leading component of ``z``, and what was removed."""
    keep = data.gene_names.mask(how.keep, "keep")
    chosen = {"candidates": candidates, "n_top": how.n_top, "variance": how.variance}
    found = data.kept("candidates after the inverse PCA", chosen, lambda: {"mask": _by_loading(data, candidates, how)})
    mask = found["mask"]
    rule = f"small loadings (inverse PCA, {how.variance:.0%} of the variance)"
    left, ledger = gene_filters.ledger({rule: candidates & ~mask}, keep | ~candidates)
    return left & candidates, ledger.assign(left=int((left & candidates).sum()))


def _by_loading(data: Dataset, candidates: np.ndarray, how: InversePCA) -> np.ndarray:
    index = np.flatnonzero(candidates)
    stats = data.stats.pooled
    ceiling = (stats.mean + Z_CEILING * stats.std)[0, index]
    mask = np.zeros_like(candidates)
    options: dict[str, Any] = {"n_top": how.n_top, "variance": how.variance}
    shape = len(data.cells), len(index)
    by_cuml = data.device == "cuda" and not is_dask(data.matrix) and pca.fits_cuml(*shape)
    if not by_cuml and shape[0] >= shape[1]:
        mask[index] = pca.inverse_pca(data.moments(index, ceiling).correlation, **options)
        return mask
    e = data.expression(index)
    e = namespace(e).minimum(e, namespace(e).asarray(ceiling, dtype=e.dtype), out=e)
    mask[index] = (pca.inverse_pca_of_cells if by_cuml else pca.inverse_pca_by_cells)(e, **options)
    return mask


def eligible_scores(
    data: Dataset, scores: np.ndarray, how: Ranking
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Scores of the genes that may be markers, scores of those that lack the effect size, and the share of samples.

    NaN in both for other genes and where the sample rule or ``positive_only`` forbids a marker.
    """
    allowed, samples = np.ones_like(scores, dtype=bool), None
    if data.sample is not None:
        rule = _sample_rule(data, data.sample, ~np.isnan(scores).all(axis=0), how)
        allowed, samples = rule.allowed, rule.samples
    scored = ~np.isnan(scores).all(axis=0)
    found = Effects.of(data.stats.of_genes(scored))
    if how.positive_only:
        allowed[:, scored] &= found.up
    large = np.zeros_like(allowed)
    large[:, scored] = found.large(how.min_log2_fold_change, how.min_fraction_difference, how.near_highest)
    return np.where(allowed & large, scores, np.nan), np.where(allowed & ~large, scores, np.nan), samples


def rank_markers(
    data: Dataset, scores: np.ndarray, auc: np.ndarray, how: Ranking, by_model: Mapping[str, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Eligible and spare scores (groups × genes), and the marker table; a marker has a positive score.

    ``by_model``: of a consensus, the scores of each model alone.
    """
    eligible, spare, samples = eligible_scores(data, scores, how)
    positive = np.where(eligible > 0, eligible, np.nan)
    markers = ranking.first_of_each(positive, data.names, how.n_top, unique=how.unique)
    short = [str(data.groups[c]) for c, row in enumerate(markers) if len(row) < how.n_top]
    if short:
        warn(
            f"found fewer than {how.n_top} markers for {join_names(short)}. Lower n_top, or relax the filters or what "
            "a marker needs: min_log2_fold_change, min_fraction_difference, near_highest."
        )
    named: dict[str, Any] = {"groups": data.groups, "names": data.names, "auc": auc, "samples": samples}
    table = ranking.marker_table(markers, scores, data.stats, **named)
    if by_model:
        add_agreement(table, by_model, ~np.isnan(eligible), data.names, how.n_top)
    return eligible, spare, table


def select(data: Dataset, recipe: Recipe, within: str = "", *, judged: bool = True) -> Selection:
    """All four steps; ``within`` is the broad group that the data are from, named in tables and errors.

    ``judged``: as in `importance`.
    """
    candidates = np.ones(len(data.names), dtype=bool)
    ledgers = []
    try:
        if recipe.filters is not None:
            candidates, ledger = filter_genes(data, recipe.filters)
            ledgers.append(ledger)
        if recipe.inverse_pca is not None:
            candidates, ledger = inverse_pca(data, candidates, recipe.inverse_pca)
            ledgers.append(ledger)
    except NothingLeftError as error:
        raise NothingLeftError(f"within {within!r}: {error}" if within else str(error)) from None
    scores = importance(data, candidates, recipe.importance, judged=judged)
    eligible, spare, markers = rank_markers(data, scores.mean, scores.auc, recipe.ranking, scores.by_model)
    ledger = pd.concat(ledgers, ignore_index=True) if ledgers else gene_filters.ledger({}, candidates)[1]
    if within:
        ledger.insert(0, "within", within)
        markers.insert(0, "within", within)
    profiles = profiles_of(data.stats)
    return Selection(data.groups, candidates, ledger, scores, eligible, spare, **profiles, markers=markers)


def profiles_of(stats: GroupStats) -> dict[str, np.ndarray]:
    """Mean and variance of expression and the share of cells that express each gene, as they are kept: float32."""
    return {name: getattr(stats, name).astype(np.float32) for name in PROFILES}


def inside(data: Dataset, broad: pd.Categorical) -> dict[str, Dataset]:
    """The data of each broad group, with groups named "broad / group"; groups with one cell are left out.

    Parameters
    ----------
    broad
        Name of the broad group of each cell, "" for none.
    """
    parts, skipped = {}, []
    for name in sorted(set(broad[data.cells].unique()) - {""}):
        cells = data.cells[broad[data.cells] == name]
        sizes = np.bincount(data.group[cells], minlength=data.n_groups)
        cells = cells[sizes[data.group[cells]] > 1]
        if len(set(data.group[cells])) < 2:
            skipped.append(name)
            continue
        part = data.only(cells)
        groups = np.array([f"{name} / {g}" for g in part.groups], dtype=object)
        parts[name] = replace(part, groups=groups, work=replace(part.work, within=name))
    if skipped:
        warn(f"{', '.join(skipped)}: one class only, so there is nothing to separate within it; skipped.")
    if not parts:
        raise ValueError(
            "no broad class holds two classes with at least two cells each; use a coarser column for within=."
        )
    return parts


def merge(parts: Mapping[str, Selection]) -> Selection:
    """Combine selections over the same genes: groups are concatenated, and a candidate of any selection is kept."""
    found = list(parts.values())
    if len(found) == 1:
        return found[0]

    def stack(of: Callable[[Selection], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(part) for part in found])

    scores = Scores(
        stack(lambda p: p.scores.mean),
        stack(lambda p: p.scores.spread),
        _largest_importance([part.scores.importance for part in found]),
        stack(lambda p: p.scores.auc),
        stack(lambda p: p.scores.accuracy),
        stack(lambda p: p.scores.nearest_mean),
        np.concatenate([p.scores.group_accuracy for p in found], axis=1),
        np.concatenate([p.scores.training_cells for p in found], axis=1),
        {name: np.concatenate([p.scores.by_model[name] for p in found]) for name in found[0].scores.by_model},
    )
    groups = stack(lambda p: p.groups)
    markers = pd.concat([part.markers.astype({"group": object}) for part in found], ignore_index=True)
    return Selection(
        groups,
        np.any([part.candidates for part in found], axis=0),
        pd.concat([part.ledger for part in found], ignore_index=True),
        scores,
        stack(lambda p: p.eligible),
        stack(lambda p: p.spare),
        stack(lambda p: p.mean),
        stack(lambda p: p.variance),
        stack(lambda p: p.fraction),
        markers.astype({"group": pd.CategoricalDtype(list(groups))}),
    )


def _largest_importance(parts: list[np.ndarray]) -> np.ndarray:
    """The weight of each gene in the part where it is most important; NaN for genes that are candidates in none."""
    known = np.any([~np.isnan(part) for part in parts], axis=0)
    return np.where(known, np.max([weights(part) for part in parts], axis=0), np.nan).astype(np.float32)


def _sample_rule(data: Dataset, sample: pd.Categorical, scored: np.ndarray, how: Ranking) -> ranking.Eligible:
    shape = data.n_groups, len(sample.categories)
    pair = np.where(data.group >= 0, data.group.astype(np.int64) * shape[1] + sample.codes, -1)
    cells, detected = data.detections_by(pair, shape[0] * shape[1], np.flatnonzero(scored))
    rule = ranking.sample_rule(
        detected.reshape(*shape, -1),
        cells.reshape(shape),
        min_cells=how.min_cells_per_sample,
        min_fraction=how.sample_fraction,
    )
    allowed, samples = np.zeros((data.n_groups, len(scored)), dtype=bool), np.full((data.n_groups, len(scored)), np.nan)
    allowed[:, scored], samples[:, scored] = rule.allowed, rule.samples
    return ranking.Eligible(allowed, samples)
