"""Consensus of several models: rules of rank aggregation, compared by panels from two halves of the cells.

The cells of each class are halved at random (``--seeds``). Every model scores the candidate genes of each half. A rule
makes one list per class of the lists of several models, and one importance of theirs: they give markers (5 per class),
and a panel of 30 genes as `get.marker_panel` chooses it. Measured are the share of markers and of panel genes that both
halves chose, and the error of kNN(3) with the panel of one half, trained on that half, on the cells of the other; with
``--parts agreement`` the share of markers that the other half also chose, for markers on which all models agree and for
the others, by the rule of the package.
``--work`` keeps the scores of the models.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks import quality, record

UNITS = ("pbmc3k:cell_type", "paul15:cell_type", "zeisel:cell_type")
LISTS = (("dnn", "xgboost"), ("rf", "xgboost"), ("rf", "xgboost", "dnn"), ("rf", "brf", "xgboost", "dnn"))
N_TOP, PANEL = 5, 30


class Found(NamedTuple):
    """Scores (groups × genes) and importance (genes), NaN for genes that are no candidates."""

    scores: np.ndarray
    importance: np.ndarray


def mean_rank(scores: np.ndarray) -> np.ndarray:
    """Borda: the mean over the models of the share of genes that stand lower; models × groups × genes."""
    from scipy.stats import rankdata

    return (rankdata(scores, axis=-1) / scores.shape[-1]).mean(axis=0)


def reciprocal(k: int) -> Callable:
    """Reciprocal rank fusion with the constant ``k``."""

    def rule(scores: np.ndarray) -> np.ndarray:
        from smash_gpu.selection import consensus

        before, consensus.K = consensus.K, k
        try:
            return consensus.combined(scores)[0]
        finally:
            consensus.K = before

    return rule


def robust(scores: np.ndarray) -> np.ndarray:
    """Robust rank aggregation (Kolde et al. 2012): −log10 of the smallest beta probability of the ordered ranks."""
    from scipy.stats import beta, rankdata

    n = len(scores)
    ranks = np.sort(rankdata(-scores, axis=-1) / scores.shape[-1], axis=0)
    chance = [beta.cdf(row, k, n - k + 1) for k, row in enumerate(ranks, start=1)]
    return -np.log10(np.maximum(np.min(chance, axis=0) * n, 1e-300))


def mean_score(scores: np.ndarray) -> np.ndarray:
    """No ranks: scores divided by the largest of each group, then their mean."""
    return (scores / np.maximum(scores.max(axis=-1, keepdims=True), np.finfo(float).tiny)).mean(axis=0)


RULES = {
    "mean rank": mean_rank, "reciprocal rank, k = 60": reciprocal(60), "reciprocal rank, k = 10": reciprocal(10),
    "robust rank aggregation": robust, "mean score": mean_score,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Score the halves, print and append one line per set, seed, list of models and rule; then print the table."""
    options = record.parser("consensus")
    options.add_argument("--sets", nargs="+", default=list(UNITS))
    options.add_argument("--seeds", type=int, nargs="+", default=[31, 32, 33])
    options.add_argument("--parts", nargs="+", default=["rules", "agreement"], choices=["rules", "agreement"])
    options.add_argument("--work", type=Path, help="folder for the scores of the models")
    options.add_argument("--table", action="store_true", help="only print the table of an earlier run's JSON lines")
    options = options.parse_args(arguments)
    if not options.table:
        warnings.simplefilter("ignore")
        for unit, seed in product(options.sets, options.seeds):
            for part in options.parts:
                rows = list({"rules": compared, "agreement": repeated}[part](options, unit, seed))
                shared_by_all = {"benchmark": "consensus", "part": part, "set": unit, "seed": seed}
                record.write(options.json, [shared_by_all | row for row in rows])
                print(unit, seed, part, f"{len(rows)} lines", flush=True)
    print(table(options.json))
    print(table_of_agreement(options.json))


def compared(options, unit: str, seed: int) -> Iterator[dict]:
    """All lists of models and rules on the halves of one set."""
    data, halves, parts, found = on_halves(options, unit, seed)
    alone = [((name,), "alone", lambda scores: scores[0]) for name in found[0]]
    together = [(models, name, rule) for models in LISTS for name, rule in RULES.items()]
    for models, name, rule in alone + together:
        lists = [chosen(part, aggregated(one, models, rule)) for part, one in zip(parts, found, strict=True)]
        markers, panels = zip(*lists, strict=True)
        row = {"models": list(models), "rule": name, "n_groups": data.n_groups}
        row |= {"markers_shared": shared(*markers), "panel_shared": len({*panels[0]} & {*panels[1]}) / PANEL}
        errors = [error(data, halves[i], halves[1 - i], panels[i]) for i in (0, 1)]
        yield row | {"misclassification": float(np.mean(errors))}


def on_halves(options, unit: str, seed: int) -> tuple:
    """The data of a unit, the cells of both halves, their data, and what every model finds in each."""
    from smash_gpu.data.stages import Work
    from smash_gpu.evaluation import stability

    data = read(options.data, unit, Work.of(options.work))
    halves = stability.halves(data.labels, np.random.default_rng(seed))
    parts = [data.only(data.cells[half]) for half in halves]
    return data, halves, parts, [scored(part, seed) for part in parts]


def repeated(options, unit: str, seed: int) -> Iterator[dict]:
    """How many of the markers of one half are markers of the same group in the other, by agreement."""
    _, _, parts, found = on_halves(options, unit, seed)
    for models in LISTS:
        rule = RULES["reciprocal rank, k = 60"]
        tables = [agreed(part, one, models, rule) for part, one in zip(parts, found, strict=True)]
        both = pd.concat([a.merge(b[["group", "gene"]], how="left", indicator=True) for a, b in (tables, tables[::-1])])
        again, all_agree = both["_merge"] == "both", both["agreement"] == 1
        row = {"models": list(models), "rule": "reciprocal rank, k = 60", "agreed": float(all_agree.mean())}
        yield row | {
            "repeated_agreed": float(again[all_agree].mean()),
            "repeated_others": float(again[~all_agree].mean()),
        }


def agreed(data, found: dict[str, Found], models: tuple[str, ...], rule: Callable) -> pd.DataFrame:
    """One row per marker: group, gene, and the share of models that agree on it."""
    from smash_gpu.selection import consensus, steps
    from smash_gpu.selection.options import Ranking

    together = aggregated(found, models, rule)
    markers, _ = chosen(data, together)
    eligible, _, _ = steps.eligible_scores(data, together.scores, Ranking())
    of_each = np.stack([found[model].scores for model in models])
    _, share = consensus.agreement(of_each, ~np.isnan(eligible), data.names, N_TOP)
    rows = [(group, gene, share[group, gene]) for group, genes in enumerate(markers) for gene in genes]
    return pd.DataFrame(rows, columns=["group", "gene", "agreement"])


def aggregated(found: dict[str, Found], models: tuple[str, ...], rule: Callable) -> Found:
    """The rule on scores and importance of the candidates, which all models have; NaN for other genes."""
    both = []
    for parts in zip(*(found[model] for model in models), strict=True):
        values = np.stack(parts)
        mask, whole = ~np.isnan(values).reshape(-1, values.shape[-1]).all(axis=0), np.full(values.shape[1:], np.nan)
        whole[..., mask] = rule(values[..., mask])
        both.append(whole)
    return Found(*both)


def read(folder: Path, unit: str, work):
    """The labelled cells of a unit, see `quality.read`."""
    import anndata as ad

    from smash_gpu.annotated.read import read as read_dataset

    name, _, column = unit.partition(":")
    adata = ad.read_h5ad(folder / f"{name}.h5ad")
    adata.obs[column] = adata.obs[column].astype(object).where(adata.obs[column] != quality.UNASSIGNED)
    adata.obs[column] = adata.obs[column].astype("category")
    return read_dataset(adata, {"groupby": column, "min_cells": quality.MIN_CELLS, "device": "cpu"}, work)


def scored(data, seed: int) -> dict[str, Found]:
    """What every model finds, with the default candidates."""
    from smash_gpu.selection import scoring, steps
    from smash_gpu.selection.options import Importance, Recipe

    recipe, found = Recipe(), {}
    mask, _ = steps.filter_genes(data, recipe.filters)
    if recipe.inverse_pca is not None:
        mask, _ = steps.inverse_pca(data, mask, recipe.inverse_pca)
    for model in LISTS[-1]:
        start = time.perf_counter()
        scores = scoring.importance(data, mask, Importance(model, random_state=seed))
        found[model] = Found(scores.mean.astype(float), scores.importance.astype(float))
        print(f"  {model} {time.perf_counter() - start:.0f} s", flush=True)
    return found


def chosen(data, found: Found) -> tuple[list, np.ndarray]:
    """Markers of every group, and a panel, both as numbers of genes, with the default rules for markers."""
    from smash_gpu.selection import marker_panel, ranking, steps
    from smash_gpu.selection.options import Ranking

    eligible, spare, _ = steps.eligible_scores(data, found.scores, Ranking())
    markers = ranking.first_of_each(np.where(eligible > 0, eligible, np.nan), data.names, N_TOP)
    known = {"mean": data.stats.mean, "variance": data.stats.variance, "importance": found.importance}
    panel = marker_panel.marker_panel(
        found.scores, eligible, spare, names=data.names, n_genes=PANEL, nested=False, **known
    )
    return markers, panel


def shared(first: list, second: list) -> float:
    """Mean over the groups of the share of `N_TOP` markers in both lists."""
    return float(np.mean([len({*a} & {*b}) / N_TOP for a, b in zip(first, second, strict=True)]))


def error(data, train: np.ndarray, test: np.ndarray, genes: np.ndarray) -> float:
    """Misclassification of kNN(3) on z-scores of the training half, on the other half."""
    from smash_gpu import evaluation
    from smash_gpu.data.splits import Split

    split = Split(train, test)
    predicted = evaluation.predict(data.host_expression(genes), data.labels, split, scale_on_all=False)
    return float(evaluation.metrics_of_labels(data.labels[test], predicted)["misclassification"])


def table(path: Path) -> str:
    """Mean over sets and seeds: one row per list of models and rule, and the error as a difference to the best model
    of the list alone, with the standard error over sets and seeds.
    """
    rows = pd.DataFrame([row for row in quality.lines(path) if row["part"] == "rules"])
    rows["models"] = rows["models"].map("+".join)
    by = rows.set_index(["set", "seed", "models", "rule"])
    alone = by.xs("alone", level="rule")
    lines = [
        "| models | rule | markers shared | panel shared | error, % | minus mean of its models |",
        "|" + "---|" * 6,
    ]
    for (models, rule), part in by.groupby(["models", "rule"], sort=False):
        found = part.droplevel(["models", "rule"])
        own = alone[alone.index.get_level_values("models").isin(models.split("+"))]["misclassification"]
        gain = 100 * (found["misclassification"] - own.groupby(["set", "seed"]).mean())
        shown = f"{gain.mean():+.2f} ({gain.std(ddof=1) / np.sqrt(len(gain)):.2f})" if rule != "alone" else ""
        means = found[["markers_shared", "panel_shared", "misclassification"]].mean() * [100, 100, 100]
        lines.append(f"| {models} | {rule} | " + " | ".join(f"{v:.1f}" for v in means) + f" | {shown} |")
    return "\n".join(lines)


def table_of_agreement(path: Path) -> str:
    """Share of markers on which all models agree, and the shares of those and of others that both halves chose."""
    head = "| models | markers on which all agree, % | found again, of those, % | found again, of the others, % |"
    lines = [head, "|---|---|---|---|"]
    rows = pd.DataFrame([row for row in quality.lines(path) if row["part"] == "agreement"])
    rows["models"] = rows["models"].map("+".join)
    for models, part in rows.groupby("models", sort=False):
        values = 100 * part[["agreed", "repeated_agreed", "repeated_others"]].mean()
        lines.append(f"| {models} | " + " | ".join(f"{v:.1f}" for v in values) + " |")
    return "\n".join(lines)
