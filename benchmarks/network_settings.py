"""Settings of the network on real sets: penalty of the group lasso, explained cells, softmax rule, score per class.

Every seed holds out 30 % of each class; on the other 70 % two networks with seeds of their own learn, and divide them
into training and held-out cells as `tl.smash` does. A line per set, seed and penalty: accuracy on the 30 %, agreement
of the two networks, and errors of kNN(3) and logistic regression with panels of the first network: coverage of class
pairs × weight (``coverage``: ``w = min(1, I / mean of the 100 largest I)``), and lists per class that choose in turn
(``turns``: mean |φ| × ``z``, the mean of z in the class; × ``difference`` of mean expression inside and outside; ×
``separation``, the signed and saturated separation from every other class; × ``none``). References: Wilcoxon, and
coverage without weights. Lines already in the file are not computed again.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from benchmarks import quality, record
from benchmarks.baselines import METHODS
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import stratified

UNITS = ("pbmc3k:cell_type", "paul15:cell_type", "zeisel:cell_type", "pancreas_endocrinogenesis:cell_type",
         "citeseq_cbmc:cell_type")  # fmt: skip
SEEDS, PENALTIES = (31, 32, 33), (0.0, 0.1, 0.3, 1.0)
OTHER_MODEL = 1000  # added to the seed of the second network
EXPLAINED = ("test tf", "train tf", "train torch")
EPSILON, N_FIRST, N_TOP = 0.05, 100, 5
REFERENCE = "reference"


def main(arguments: list[str]) -> None:
    """Compute what is missing from the file, and print the tables."""
    options = record.parser("network_settings")
    options.add_argument("--sets", nargs="+", default=list(UNITS), help="set:column")
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--penalties", type=float, nargs="+", default=list(PENALTIES))
    options.add_argument("--table", action="store_true", help="only print the tables of the lines there are")
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    if not options.table:
        run(options)
    for lines in Tables(list(quality.lines(options.json)), options.penalties):
        print(*lines, "", sep="\n")


def run(options: argparse.Namespace) -> None:
    """One line per set, seed and penalty; seeds in turn, so that all sets have the first one early."""
    done = {(row["set"], row["seed"], row["group_lasso"]) for row in quality.lines(options.json)}
    for seed, unit in product(options.seeds, options.sets):
        name, _, column = unit.partition(":")
        wanted = [p for p in (REFERENCE, *options.penalties) if (name, seed, p) not in done]
        if not wanted:
            continue
        judge = Judge(quality.read(options.data, name, column), seed)
        for penalty in wanted:
            found = judge.references() if penalty == REFERENCE else judge.penalty(penalty)
            row = {"benchmark": "network_settings", "set": name, "groupby": column, "seed": seed}
            record.write(options.json, [row | {"group_lasso": penalty} | found])
            print(name, seed, penalty, found.get("accuracy"), found.get("genes"), flush=True)


class Judge:
    """A set with one split: its candidate genes are those that pass the filters on the 70 %."""

    def __init__(self, data: Dataset, seed: int) -> None:
        from smash_gpu.selection import steps
        from smash_gpu.selection.options import Filters

        self.data, self.seed, self.split, self.labels = data, seed, quality.held_out(data, seed), data.labels
        self.training = quality.training(data, self.split)
        self.genes = np.flatnonzero(steps.filter_genes(self.training, Filters())[0])
        self.X = data.host_expression(self.genes)
        self.e, self.group, self.n_groups = self.X[self.split.train], self.training.labels, data.n_groups
        stats = self.training.stats.of_genes(self.genes)
        self.mean, self.variance = stats.mean, stats.std**2
        self.names = data.names[self.genes]

    def separation(self, a: Any, b: Any) -> np.ndarray:
        """``s_g(a, b)``; pairs × genes."""
        spread = self.variance[a] + self.variance[b] + EPSILON
        return (self.mean[a] - self.mean[b]) ** 2 / spread

    def coverage(self, weight: np.ndarray | float, k: int) -> np.ndarray:
        """Greedy panel of ``k`` genes on ``Σ_ab (1 − exp(−D_ab / τ))``, τ = max(2, 0.3 k)."""
        s = self.separation(*np.triu_indices(self.n_groups, 1)) * weight
        gain, tau, chosen = -np.expm1(-s / max(2.0, 0.3 * k)), max(2.0, 0.3 * k), []
        left = np.ones(len(s))
        for _ in range(k):
            value = left @ gain
            value[chosen] = -np.inf
            chosen.append(int(value.argmax()))
            left *= np.exp(-s[:, chosen[-1]] / tau)
        return np.array(chosen)

    def turns(self, scores: np.ndarray, k: int) -> np.ndarray:
        """The groups choose in turn among the genes that may be their markers."""
        from benchmarks.baselines.cells import in_turn
        from smash_gpu.selection import steps
        from smash_gpu.selection.options import Ranking

        whole = np.full((self.n_groups, len(self.training.names)), np.nan)
        whole[:, self.genes] = scores
        eligible, spare, _ = steps.eligible_scores(self.training, whole, Ranking())
        return np.searchsorted(self.genes, in_turn(eligible, self.training, k, spare))

    def per_class(self) -> dict[str, Any]:
        """What mean |φ| is multiplied by; groups × genes."""
        from smash_gpu.models.attribution.by_expression import mean_z

        sizes, mean = np.bincount(self.group)[:, None], self.mean
        rest = ((sizes * mean).sum(axis=0) - sizes * mean) / (len(self.group) - sizes)
        groups = range(self.n_groups)
        signed = [
            sum(np.sign(mean[c] - mean[b]) * -np.expm1(-self.separation(c, b) / 2) for b in groups if b != c)
            for c in groups
        ]
        z = mean_z(self.e, self.group, self.n_groups)
        return {"none": 1.0, "z": z, "difference": mean - rest, "separation": np.array(signed)}

    def errors(self, panel: np.ndarray) -> list[float]:
        """Misclassified shares of the held-out 30 % with these candidates: kNN(3), logistic regression."""
        return self.errors_of(self.X[:, panel])

    def errors_of(self, X: np.ndarray) -> list[float]:
        """The same with this expression."""
        from smash_gpu.evaluation import classifiers

        true = self.labels[self.split.test]
        found = (
            classifiers.predict(X, self.labels, self.split, classifier=c, scale_on_all=False) for c in ("knn", "logreg")
        )
        return [round(float(np.mean(predicted != true)), 5) for predicted in found]

    def references(self) -> dict:
        """Errors of Wilcoxon's panels, and of coverage without weights."""
        X = self.data.host_expression(METHODS["wilcoxon"].choose(self.training, max(quality.BUDGETS), self.seed))
        panels = {f"wilcoxon {k}": self.errors_of(X[:, :k]) for k in quality.BUDGETS}
        return {"panels": panels | {f"coverage {k}": self.errors(self.coverage(1.0, k)) for k in quality.BUDGETS}}

    def fitted(self, penalty: float, seed: int) -> tuple[dict, dict[str, np.ndarray]]:
        """Accuracy, seconds and genes with weights of a network, and mean |φ| by explained cells and rule."""
        from smash_gpu.models.network import Network

        split, start = stratified(self.group, random_state=seed), time.perf_counter()
        model = Network(random_state=seed, group_lasso=penalty, by_expression=False).fit(self.e, self.group, split)
        seconds = time.perf_counter() - start
        right = model.predict(self.X[self.split.test]) == self.labels[self.split.test]
        phi = {}
        for how in EXPLAINED:
            model.explained_cells, model.softmax_rule = how.split()
            phi[how] = model.importance(self.e, self.group, split)
        genes = int(model.network[0].weight.any(dim=0).sum())
        return {"accuracy": float(right.mean()), "seconds": seconds, "genes": genes}, phi

    def penalty(self, penalty: float) -> dict:
        """Two networks with this penalty: their facts, their agreement, and the panels of the first."""
        from smash_gpu.panel.importance import weights

        (one, phi), (other, phi_other) = (self.fitted(penalty, self.seed + more) for more in (0, OTHER_MODEL))
        row: dict = {name: [one[name], other[name]] for name in one}
        row["agreement"] = {how: agreement(phi[how].mean(axis=0), phi_other[how].mean(axis=0)) for how in EXPLAINED}
        weigh = {how: [weights(found[how].mean(axis=0)) for found in (phi, phi_other)] for how in EXPLAINED}
        panels, shared, factors = {}, {}, self.per_class()
        for how, k in product(EXPLAINED, quality.BUDGETS):
            first, second = (self.coverage(w, k) for w in weigh[how])
            panels[f"coverage {how} {k}"] = self.errors(first)
            shared[f"coverage {how} {k}"] = len({*first} & {*second}) / k
        for how, (name, factor) in product(EXPLAINED, factors.items()):
            tops = [np.argsort(-found[how] * factor, axis=1)[:, :N_TOP].tolist() for found in (phi, phi_other)]
            common = [len({*a} & {*b}) / N_TOP for a, b in zip(*tops, strict=True)]
            shared[f"turns {how} {name}"] = float(np.mean(common))
            panels |= {
                f"turns {how} {name} {k}": self.errors(self.turns(phi[how] * factor, k)) for k in quality.BUDGETS
            }
        return row | {"panels": panels, "shared": shared}


def agreement(one: np.ndarray, other: np.ndarray) -> list[float]:
    """Spearman correlation of two importances, and how many of their 100 first genes are the same."""
    from scipy.stats import spearmanr

    first = [set(np.argsort(-values)[:N_FIRST].tolist()) for values in (one, other)]
    return [float(spearmanr(one, other).statistic), len(first[0] & first[1])]


class Tables:
    """Tables with a column per penalty, over the sets and seeds that have lines of all of them."""

    def __init__(self, rows: list[dict], penalties: list[float]) -> None:
        every: dict[tuple, dict] = {}
        for row in rows:
            every.setdefault((row["set"], row["seed"]), {})[row["group_lasso"]] = row
        self.units = {unit: of for unit, of in every.items() if {REFERENCE, *penalties} <= set(of)}
        self.penalties = penalties

    def __iter__(self) -> Iterator[list[str]]:
        """Accuracy by set, agreement of two networks, and errors minus Wilcoxon's in points (kNN / LR)."""
        sets = dict.fromkeys(name for name, _ in self.units)
        yield self.table("accuracy on the held-out 30 %", {name: self.accuracy(name) for name in [*sets, ""]})
        yield self.table("agreement of two networks, Spearman, of 100 first", {h: self.agreement(h) for h in EXPLAINED})
        some = next(iter(self.units.values()))[self.penalties[0]]
        panels = dict.fromkeys(name.rpartition(" ")[0] for name in some["panels"])
        alone = self.errors("coverage", [REFERENCE] * len(self.penalties))
        shown = {panel: self.errors(panel, self.penalties) for panel in panels}
        yield self.table("errors minus Wilcoxon's", {"coverage without weights": alone} | shown)

    def table(self, what: str, lines: dict[str, list[str]]) -> list[str]:
        """Lines of Markdown."""
        head = [what, *(f"λ = {penalty:g}" for penalty in self.penalties)]
        cells = [
            head,
            ["---"] * len(head),
            *([name or f"all ({len(self.units)})", *line] for name, line in lines.items()),
        ]
        return [f"| {' | '.join(row)} |" for row in cells]

    def accuracy(self, name: str) -> list[str]:
        """Mean over seeds and networks of a set, or of all."""
        found = [
            [np.mean(of[p]["accuracy"]) for p in self.penalties] for unit, of in self.units.items() if name in unit[0]
        ]
        return [f"{value:.3f}" for value in np.mean(found, axis=0)]

    def agreement(self, how: str) -> list[str]:
        """Mean over all sets and seeds."""
        found = [[of[p]["agreement"][how] for p in self.penalties] for of in self.units.values()]
        return [f"{spearman:.2f}, {shared:.0f}" for spearman, shared in np.mean(found, axis=0)]

    def errors(self, panel: str, penalties: list) -> list[str]:
        """Mean over all sets, seeds and budgets."""
        names = [(f"{panel} {k}", f"wilcoxon {k}") for k in quality.BUDGETS]
        found = [
            [np.subtract(of[p]["panels"][ours], of[REFERENCE]["panels"][theirs]) for p in penalties]
            for of in self.units.values() for ours, theirs in names
        ]  # fmt: skip
        return [f"{100 * knn:+.2f} / {100 * logistic:+.2f}" for knn, logistic in np.mean(found, axis=0)]
