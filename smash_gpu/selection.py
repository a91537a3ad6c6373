"""The four steps on a `Dataset`: filter, inverse PCA, importance, ranking."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu import genes, models, pca, ranking
from smash_gpu.arrays import enough_memory, namespace, place, release_memory, take
from smash_gpu.batch import Shift, harmonize, leading_components
from smash_gpu.dataset import Dataset
from smash_gpu.recipe import Filters, Importance, InversePCA, Ranking, Recipe
from smash_gpu.splits import stratified
from smash_gpu.stats import Z_CEILING, moments
from smash_gpu.work import Stage

WAY_OUT = "Narrow the candidates, pass fewer cells, or use device='cpu'."


class NothingLeftError(ValueError):
    """No gene passed the filters; the message holds the table of what removed them."""


@dataclass(frozen=True)
class Scores:
    """Mean and spread over the models (groups × genes, float32, NaN for genes that are no candidates), and the
    accuracy of each model on its held-out cells, with all candidate genes.
    """

    mean: np.ndarray
    spread: np.ndarray
    accuracy: np.ndarray


@dataclass(frozen=True)
class Selection:
    """What the four steps found. Arrays are groups × genes; ``eligible`` is NaN where a marker is forbidden.

    ``fraction`` is the share of the cells that express the gene.
    """

    groups: np.ndarray
    candidates: np.ndarray
    ledger: pd.DataFrame
    scores: Scores
    eligible: np.ndarray
    mean: np.ndarray
    fraction: np.ndarray
    markers: pd.DataFrame


def filter_genes(data: Dataset, filters: Filters) -> tuple[np.ndarray, pd.DataFrame]:
    """Candidate genes, and what each rule removed.

    Raises
    ------
    NothingLeftError
        If no gene is left.
    KeyError
        If ``exclude`` or ``keep`` names an absent gene.
    """
    keep = genes.named(filters.keep, data.names, data.symbols, "keep")
    rules = {"excluded by the user": genes.named(filters.exclude, data.names, data.symbols, "exclude")}
    species = _species(data.symbols, filters)
    for name in filters.families:
        rules[f"{name.replace('_', ' ')} genes"] = genes.family(name, data.symbols, species)
    rare = f"detected in < {filters.min_fraction:.0%} of every group"
    rules[rare] = ~genes.expressed(data.stats, filters.min_fraction)
    if filters.max_fraction is not None:
        common = f"detected in ≥ {filters.max_fraction:.0%} of the cells of ≥ {filters.max_groups:.0%} of the groups"
        rules[common] = genes.ubiquitous(data.stats, filters.max_fraction, filters.max_groups)
    mask, ledger = genes.ledger(rules, keep)
    if not mask.any():
        raise NothingLeftError(
            "no gene is left after the filters:\n" + ledger.to_string(index=False) + "\n"
            "Relax the rule that removed most (min_fraction, max_fraction, max_groups, families, exclude), "
            "or pass keep= for genes that must stay."
        )
    return mask, ledger


def inverse_pca(data: Dataset, candidates: np.ndarray, how: InversePCA) -> tuple[np.ndarray, pd.DataFrame]:
    """Candidates with a large loading on a leading component of ``z``, and what was removed."""
    keep = genes.named(how.keep, data.names, data.symbols, "keep")
    chosen = {"candidates": candidates, "n_top": how.n_top, "variance": how.variance}
    found = data.kept("candidates after the inverse PCA", chosen, lambda: {"mask": _load_much(data, candidates, how)})
    mask = found["mask"]
    rule = f"small loadings (inverse PCA, {how.variance:.0%} of the variance)"
    left, ledger = genes.ledger({rule: candidates & ~mask}, keep | ~candidates)
    return left & candidates, ledger.assign(left=int((left & candidates).sum()))


def _load_much(data: Dataset, candidates: np.ndarray, how: InversePCA) -> np.ndarray:
    index = np.flatnonzero(candidates)
    stats = data.stats.pooled
    ceiling = (stats.mean + Z_CEILING * stats.std)[0, index]
    correlation = moments(
        data.matrix, data.group, index, ceiling=ceiling, target_sum=data.target_sum, device=data.device
    ).correlation
    mask = np.zeros_like(candidates)
    mask[index] = pca.inverse_pca(correlation, n_top=how.n_top, variance=how.variance)
    return mask


def importance(data: Dataset, candidates: np.ndarray, how: Importance) -> Scores:
    """Score every candidate gene for every group with one model or the mean of several."""
    X = cache(lambda: _expression(data, np.flatnonzero(candidates), how))

    def fitted(seed: int) -> Stage:
        return data.kept(
            f"scores of {how.model}, seed {seed}",
            how.of_one(seed, candidates=candidates, batch=data.batch),
            lambda: dict(zip(("scores", "accuracy"), _fit(data, X(), how, seed), strict=True)),
        )

    found = [fitted(seed) for seed in range(how.random_state, how.random_state + how.n_models)]
    scores, accuracy = (np.array([one[name] for one in found]) for name in ("scores", "accuracy"))
    spread = scores.std(axis=0, ddof=1) if how.n_models > 1 else np.full(scores.shape[1:], np.nan)
    return Scores(_scatter(scores.mean(axis=0), candidates), _scatter(spread, candidates), accuracy)


def _expression(data: Dataset, index: np.ndarray, how: Importance) -> Any:
    X = data.expression(index)
    if data.batch is not None and len(set(data.batch[data.cells])) > 1:
        purpose = f"correcting the batches of {X.shape[0]:,} cells × {X.shape[1]:,} genes"
        with enough_memory(purpose, WAY_OUT, X.nbytes):
            X = batch_shift(data, index, X, random_state=how.random_state).added_to(X, np.arange(len(X)))
    return X


def batch_shift(data: Dataset, index: np.ndarray, X: Any, *, random_state: int) -> Shift:
    """Harmony on the principal components of the candidates, as a change of their expression."""
    sums = moments(data.matrix, data.group, index, target_sum=data.target_sum, device=data.device)
    axes = leading_components(sums)
    xp = namespace(X)
    components = (X - xp.asarray(sums.mean, X.dtype)) @ xp.asarray(axes, X.dtype)
    corrected = harmonize(components.astype(np.float64), data.batch[data.cells], random_state=random_state)
    return Shift(corrected - components, axes)


def eligible_scores(data: Dataset, scores: np.ndarray, how: Ranking) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores with NaN where the sample rule or ``positive_only`` forbids a marker, and the share of samples."""
    allowed, samples = np.ones_like(scores, dtype=bool), None
    if data.sample is not None:
        rule = _sample_rule(data, how)
        allowed, samples = rule.allowed, rule.samples
    if how.positive_only:
        allowed = allowed & ranking.directions(data.stats)
    return np.where(allowed, scores, np.nan), samples


def rank_markers(data: Dataset, scores: np.ndarray, how: Ranking) -> tuple[np.ndarray, pd.DataFrame]:
    """Eligible scores (groups × genes), and the markers of every group; only positive scores make markers."""
    eligible, samples = eligible_scores(data, scores, how)
    positive = np.where(eligible > 0, eligible, np.nan)
    markers = ranking.first_of_each(positive, data.names, how.n_top, unique=how.unique)
    short = [str(data.groups[c]) for c, row in enumerate(markers) if len(row) < how.n_top]
    if short:
        warnings.warn(
            f"fewer than {how.n_top} genes speak for {', '.join(short)}: shorter lists of markers there.", stacklevel=2
        )
    return eligible, ranking.marker_table(
        markers, scores, data.stats, groups=data.groups, names=data.names, samples=samples
    )


def select(data: Dataset, recipe: Recipe, within: str = "") -> Selection:
    """All steps in order; ``within`` names the broad group that the data are, in tables and complaints."""
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
        raise NothingLeftError(f"inside {within!r}: {error}" if within else str(error)) from None
    scores = importance(data, candidates, recipe.importance)
    eligible, markers = rank_markers(data, scores.mean, recipe.ranking)
    ledger = pd.concat(ledgers, ignore_index=True) if ledgers else genes.ledger({}, candidates)[1]
    if within:
        ledger.insert(0, "within", within)
        markers.insert(0, "within", within)
    stats = data.stats
    return Selection(data.groups, candidates, ledger, scores, eligible, stats.mean, stats.fraction, markers)


def inside(data: Dataset, broad: np.ndarray) -> dict[str, Dataset]:
    """The data of each broad group, with groups named "broad / group"; groups of one cell are left out.

    Parameters
    ----------
    broad
        Name of the broad group of each cell, "" for none.
    """
    parts, skipped = {}, []
    for name in sorted(set(broad[data.cells]) - {""}):
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
        warnings.warn(f"nothing to tell apart inside {', '.join(skipped)}: one group only.", stacklevel=3)
    if not parts:
        raise ValueError("no broad group holds two groups with at least two cells each.")
    return parts


def merge(parts: Mapping[str, Selection]) -> Selection:
    """Several selections over the same genes as one: groups one after the other, candidates of any."""
    found = list(parts.values())
    if len(found) == 1:
        return found[0]

    def stack(of: Callable[[Selection], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(part) for part in found])

    scores = Scores(*(stack(lambda p, name=name: getattr(p.scores, name)) for name in ("mean", "spread", "accuracy")))
    groups = stack(lambda p: p.groups)
    markers = pd.concat([part.markers.astype({"group": object}) for part in found], ignore_index=True)
    return Selection(
        groups,
        np.any([part.candidates for part in found], axis=0),
        pd.concat([part.ledger for part in found], ignore_index=True),
        scores,
        stack(lambda p: p.eligible),
        stack(lambda p: p.mean),
        stack(lambda p: p.fraction),
        markers.astype({"group": pd.CategoricalDtype(list(groups))}),
    )


def choose_panel(recipe: Recipe, n_genes: int) -> Callable[[Dataset], np.ndarray]:
    """A function from data to the numbers of ``n_genes`` genes, chosen by the recipe."""

    def choose(data: Dataset) -> np.ndarray:
        return ranking.panel(select(data, recipe).eligible, data.names, n_genes)

    return choose


def _fit(data: Dataset, X: Any, how: Importance, seed: int) -> tuple[np.ndarray, float]:
    split = stratified(data.labels, random_state=seed)
    model = models.build(how.model, random_state=seed, device=data.device, **how.options)
    X = place(X, getattr(model, "device", "cpu"))
    purpose = f"training on {X.shape[0]:,} cells × {X.shape[1]:,} genes"
    release_memory()
    with enough_memory(purpose, WAY_OUT, X.nbytes):
        model.fit(X, data.labels, split)
        scores = np.asarray(model.importance(X, data.labels, split), dtype=np.float64)
        predicted = np.asarray(model.predict(take(X, split.test)))
    expected = (data.n_groups, X.shape[1])
    if scores.shape != expected:
        raise ValueError(f"the model's importance has shape {scores.shape}; groups × genes is {expected}.")
    return scores, float(np.mean(predicted == data.labels[split.test]))


def _scatter(part: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    whole = np.full((len(part), len(candidates)), np.nan, dtype=np.float32)
    whole[:, candidates] = part
    return whole


def _species(symbols: np.ndarray, filters: Filters) -> str | None:
    species = genes.detect_species(symbols) if filters.species == "auto" else filters.species
    if filters.families and genes.are_ensembl_ids(symbols):
        warnings.warn(
            "the gene names are Ensembl ids, so no gene family was removed: pass gene_symbols= with the column of "
            "adata.var that holds the symbols.",
            stacklevel=2,
        )
    elif filters.families and species is None:
        warnings.warn(
            "neither human (ACTB) nor mouse (Actb) spelling was recognised in the gene names, so no gene family was "
            "removed: pass species='human' or 'mouse', or families=() to say that none shall be.",
            stacklevel=2,
        )
    return species


def _sample_rule(data: Dataset, how: Ranking) -> ranking.Eligible:
    samples, code = np.unique(data.sample, return_inverse=True)
    pair = np.where(data.group >= 0, data.group.astype(np.int64) * len(samples) + code, -1)
    stats = data.stats_by(pair, data.n_groups * len(samples), "sample statistics")
    shape = (data.n_groups, len(samples))
    return ranking.sample_rule(
        stats.detected.reshape(*shape, -1),
        stats.cells.reshape(shape),
        min_cells=how.min_cells_per_sample,
        min_fraction=how.sample_fraction,
    )
