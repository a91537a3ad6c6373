"""Three scores of a gene for a group from one fitted model, as lists of markers and as lists in turn.

The score is the model's importance of the gene × the class mean of z (``z``), × its signed and saturated separation
from every other group (``separation``), or × Welch's t of the group against the rest (``t``); for the network also its
mean absolute Shapley value per group × each of them (``phi z``, ...). Every seed holds out 30 % of each class. On the
other 70 % a model learns as in `tl.smash`, with its filters and its rules for effect sizes. Of the lists: kNN(3) and
logistic regression on the held-out cells with the first 10, 30 and 100 genes of the groups in turn. Of the five markers
of each group, on the held-out cells: τ, the share of the group in the sum of the group means (``on_target``), and the
area under the ROC curve, all mean over markers that are high in their group; and how many markers are low there. One
line per set, seed, model and score.
"""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np

from benchmarks import quality, record

UNITS = ("pbmc3k:cell_type", "paul15:cell_type", "zeisel:cell_type", "pancreas_endocrinogenesis:cell_type")
SEEDS = (31, 32)
MODELS = ("rf", "brf", "xgboost", "dnn")
N_TOP = 5
KEY = ("set", "seed", "model")


def main(arguments: list[str]) -> None:
    """Compute what is missing from the file, and print the table."""
    options = record.parser("marker_scores")
    options.add_argument("--sets", nargs="+", default=list(UNITS), help="set:column")
    options.add_argument("--models", nargs="+", default=list(MODELS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--table", action="store_true", help="only print the table of the lines there are")
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    done = {tuple(row[name] for name in KEY) for row in quality.lines(options.json)}
    for seed, unit, model in product(options.seeds, options.sets, options.models):
        name, _, column = unit.partition(":")
        if not options.table and (name, seed, model) not in done:
            where = {"benchmark": "marker_scores", "set": name, "groupby": column, "seed": seed, "model": model}
            found = list(rows(quality.read(options.data, name, column), seed, model))
            record.write(options.json, [where | row for row in found])
            print(*where.values(), *(row["score"] for row in found), flush=True)
    print(table(options.json))


def rows(data, seed: int, model: str):
    """One line per score."""
    from benchmarks.baselines.cells import in_turn
    from smash_gpu.selection import ranking, steps
    from smash_gpu.selection.options import Ranking

    split = quality.held_out(data, seed)
    part = quality.training(data, split)
    judge = Judge(data, split)
    for name, scores in scored(part, seed, model).items():
        eligible, spare, _ = steps.eligible_scores(part, scores, Ranking())
        lists = ranking.first_of_each(np.where(eligible > 0, eligible, np.nan), part.names, N_TOP)
        yield {"score": name} | judge.markers(lists) | judge.errors(in_turn(eligible, part, 100, spare))


def scored(part, seed: int, name: str) -> dict[str, np.ndarray]:
    """Scores of the candidates by one fitted model; groups × genes, NaN for other genes."""
    from smash_gpu import models
    from smash_gpu.data.splits import stratified
    from smash_gpu.data.stats import group_stats
    from smash_gpu.models.attribution.by_expression import GroupMoments, mean_z
    from smash_gpu.selection import steps
    from smash_gpu.selection.options import Filters

    candidates = steps.filter_genes(part, Filters())[0]
    X, group = part.expression(np.flatnonzero(candidates)), part.labels
    split = stratified(group, random_state=seed)
    model = models.build(name, random_state=seed).fit(X, group, split)
    importances = {"": model.global_importance(X, group, split)}
    if name == "dnn":
        importances["phi "] = model._mean_abs(X, group, split, split.train)  # noqa: SLF001
    stats = group_stats(X[split.train], group[split.train], part.n_groups, target_sum=None)
    factors = {"z": mean_z(X, group, part.n_groups, split.train), "t": t(stats)}
    factors["separation"] = GroupMoments.of(X, group, part.n_groups, split.train).against_each()
    found = {}
    for (prefix, importance), (by, factor) in product(importances.items(), factors.items()):
        found[prefix + by] = np.full((part.n_groups, len(candidates)), np.nan)
        found[prefix + by][:, candidates] = importance * factor
    return found


def t(stats) -> np.ndarray:
    """Welch's t of every group against all other cells; groups × genes, 0 where nothing varies."""
    rest = stats.rest
    error = np.sqrt(stats.std**2 / stats.cells[:, None] + rest.std**2 / rest.cells[:, None])
    return np.divide(stats.mean - rest.mean, error, out=np.zeros_like(error), where=error > 0)


class Judge:
    """The held-out cells of a split."""

    def __init__(self, data, split) -> None:
        self.data, self.split = data, split
        self.test = data.only(data.cells[split.test])

    def errors(self, genes: np.ndarray) -> dict:
        """Misclassified shares with the first genes of a list, by kNN(3) and logistic regression."""
        from smash_gpu.evaluation import classifiers

        true, found = self.data.labels[self.split.test], {}
        X = self.data.host_expression(genes)
        for k, classifier in product(quality.BUDGETS, ("knn", "logreg")):
            how = {"classifier": classifier, "scale_on_all": False}
            predicted = classifiers.predict(X[:, :k], self.data.labels, self.split, **how)
            found[f"{classifier}_{k}"] = round(float(np.mean(predicted != true)), 5)
        return found

    def markers(self, lists: list[np.ndarray]) -> dict:
        """Specificity of the markers of all groups."""
        from smash_gpu.selection.effects import auc, specificity

        genes, column = np.unique(np.concatenate(lists).astype(int), return_inverse=True)
        group = np.repeat(np.arange(len(lists)), [len(row) for row in lists])
        mean = self.test.stats.of_genes(genes).mean
        area = auc(self.test.host_expression(genes), self.test.labels, self.test.n_groups)
        up = mean[group, column] >= self.test.stats.of_genes(genes).rest.mean[group, column]
        share = np.divide(mean, mean.sum(axis=0), out=np.zeros_like(mean), where=mean.sum(axis=0) > 0)
        kinds = {"tau": specificity(mean)[column], "on_target": share[group, column], "auc": area[group, column]}
        found = {name: round(float(np.nanmean(values[up])), 4) for name, values in kinds.items()}
        return found | {"n_markers": len(group), "n_low": int((~up).sum())}


def table(path) -> str:
    """Means over sets and seeds, in points: errors, τ, share on target and AUC minus those of ``z``, and themselves."""
    import pandas as pd

    found = pd.DataFrame(list(quality.lines(path)))
    if found.empty:
        return "no lines yet"
    specific = ["tau", "on_target", "auc"]
    for name in ("knn", "logreg"):
        found[name] = found[[f"{name}_{k}" for k in quality.BUDGETS]].mean(axis=1)
    values = 100 * found.set_index([*KEY, "score"])[["knn", "logreg", *specific]]
    usual = np.where(found["model"] == "dnn", "phi z", "z")
    base = values[usual == found["score"].to_numpy()].droplevel("score")
    change = values - base.reindex(values.index.droplevel("score")).to_numpy()
    by = change.groupby(["model", "score"])
    shown = by.mean().join(by[["knn", "logreg"]].sem(), rsuffix=" se")
    shown = shown.join(values[specific].groupby(["model", "score"]).mean(), rsuffix=" %")
    return shown.round(2).join(found.groupby(["model", "score"])["n_low"].mean()).to_string()
