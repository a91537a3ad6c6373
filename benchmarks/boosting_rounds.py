"""After how many rounds XGBoost may stop: one run of all rounds per set and seed, cut off by different rules.

As in `quality`: the method sees 70 % of the cells, of which it holds out a fifth; its panel is evaluated by kNN(3) on
the other 30 %. The seeds are others than those of the comparison with other methods.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks import quality, record
from smash_gpu.models.boosted import Boosted
from smash_gpu.models.xgboost_stopping import HELD_OUT

SEEDS = (30, 31)
UNITS = ("pbmc3k:cell_type", "paul15:cell_type", "paul15:cell_subtype", "pancreas_endocrinogenesis:cell_type",
         "pbmc_3batch_symphony:cell_type", "zeisel:cell_type")  # fmt: skip


def stopped(losses: list[float], *, rounds: int, least: float = 0.0, tol: float = 0.0) -> int:
    """Rounds that are kept: up to the last loss that was smaller by a share or by ``tol``, before so many others."""
    best, at = np.inf, 0
    for number, loss in enumerate(losses):
        if loss < best * (1 - least) - tol or number == 0:
            best, at = loss, number
        elif number - at >= rounds:
            break
    return at + 1


RULES: dict[str, Any] = {
    "all rounds": lambda curves: len(curves["mlogloss"]),
    **{f"patience {n}": lambda curves, n=n: stopped(curves["mlogloss"], rounds=n) for n in (2, 3, 5, 10)},
    "patience 5, at least 1 % better": lambda curves: stopped(curves["mlogloss"], rounds=5, least=0.01),
    "patience 2, at least 2 % better": lambda curves: stopped(curves["mlogloss"], rounds=2, least=0.02),
    "patience 5 of the error": lambda curves: stopped(curves["merror"], rounds=5),
    **{
        f"patience {n}, at least {tol} better": lambda c, n=n, tol=tol: stopped(c["mlogloss"], rounds=n, tol=tol)
        for n, tol in ((5, 0.001), (3, 0.001), (3, 0.003), (2, 0.003), (2, 0.01))
    },
    "12 rounds": lambda curves: 12,
    "20 rounds": lambda curves: 20,
}


class Cut(Boosted):
    """Trained once with all rounds, then cut off by a rule."""

    rule: Any = None

    def fit(self, X: np.ndarray, group: np.ndarray, split: Any) -> Cut:
        """Train if that has not been done; keep the rounds of the rule."""
        self.cells = X, group, split
        self.n_groups = int(group.max()) + 1
        self.booster = self.whole[0][: self.rule(self.whole[1])]
        return self

    @cached_property
    def whole(self) -> tuple:
        """The trees of all rounds, the curves of the held-out cells, and the seconds of a round."""
        from xgboost import train

        X, group, split = self.cells
        data = self._binned(X, group, split.train, None)
        held_out = self._binned(X, group, split.test, None, like=data)
        params = self.params | {"num_class": self.n_groups, "eval_metric": ["merror", "mlogloss"]}
        curves: dict[str, Any] = {}
        start, how = time.process_time(), {"evals": [(held_out, HELD_OUT)], "evals_result": curves}
        booster = train(params, data, self.n_estimators, verbose_eval=False, **how)
        return booster, curves[HELD_OUT], (time.process_time() - start) / self.n_estimators


def main(arguments: list[str]) -> None:
    """One line per unit, seed and rule."""
    options = record.parser("boosting_rounds")
    options.add_argument("--sets", nargs="+", default=list(UNITS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    options = options.parse_args(arguments)
    for unit in options.sets:
        for seed in options.seeds:
            record.write(options.json, list(rows(options.data, unit, seed, options.rules)))


def rows(folder: Any, unit: str, seed: int, rules: list[str]) -> Any:
    """The lines of one set and seed."""
    from smash_gpu.selection import marker_panel, steps
    from smash_gpu.selection.options import Importance, Recipe

    name, _, column = unit.partition(":")
    data = quality.read(folder, name, column)
    split = quality.held_out(data, seed)
    part, model = quality.training(data, split), Cut(random_state=seed)
    for rule in rules:
        model.rule = RULES[rule]
        found = steps.select(part, Recipe(inverse_pca=None, importance=Importance(model, random_state=seed)))
        row = {"benchmark": "boosting_rounds", "set": name, "groupby": column, "seed": seed, "rule": rule}
        row |= {"builder": "marker_panel", "rounds": model.booster.num_boosted_rounds()}
        row |= {"cpu_s_per_round": model.whole[2]}
        for k in quality.BUDGETS:
            chosen = quality.Chosen(marker_panel.of_selection(found, data.names, k))
            judged = quality.judged(data, split, chosen, k)
            row |= {f"{c}misclassification_{k}": judged[f"{c}misclassification"] for c in quality.CLASSIFIERS.values()}
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        yield row
