"""The steps of a selection, how far their results are equal, and the table of it in the documentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cells import planted

from smash_gpu import evaluation, tl
from smash_gpu.annotated.read import read
from smash_gpu.compute.xp import place, to_host
from smash_gpu.data.checks import NUMBERS, ValueChecks
from smash_gpu.data.splits import stratified
from smash_gpu.evaluation import Judging
from smash_gpu.selection import marker_panel, scoring, steps
from smash_gpu.selection.options import Filters, Importance, InversePCA

EQUAL, OTHER = 0.0, np.inf
NAME = "determinism"
UNSEEN = "not run yet"
GENES = np.arange(45)


@dataclass(frozen=True)
class Step:
    """``run(device)`` gives arrays; ``between`` is the largest relative difference between CPU and GPU.

    ``runs`` is the largest relative difference of two runs on a GPU.
    ``shown``: what a GPU has shown so far, two equal "runs" or the agreement "between" CPU and GPU.
    """

    name: str
    run: Callable[[str], tuple[np.ndarray, ...]]
    between: float
    packages: tuple[str, ...] = ()
    packages_on_cpu: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    runs: float = EQUAL

    def found(self, device: str) -> list[np.ndarray]:
        """Its results on the host; skips where a package is not installed."""
        for package in self.packages if device == "cuda" else self.packages_on_cpu:
            pytest.importorskip(package)
        return [np.asarray(to_host(array)) for array in self.run(device)]

    @property
    def in_words(self) -> str:
        """How far CPU and GPU agree."""
        if self.between == OTHER:
            return "differ: another library, or sums in another order"
        return in_words(self.between)


def in_words(difference: float) -> str:
    """A largest relative difference."""
    return "bit for bit" if difference == EQUAL else f"to {difference:.0e}".replace("e-0", "e-")


def cells(device: str, **options: Any) -> Any:
    """The same planted cells each time."""
    adata = planted(np.random.default_rng(0), n_cells=600)
    adata.obs["lane"] = pd.Categorical(np.array(["a", "b"])[np.arange(600) % 2])
    return read(adata, {"groupby": "cell_type", "device": device, **options})


def checked(device):
    data = cells(device)
    found = ValueChecks.of(place(data.matrix, device), np.zeros(len(data.group), dtype=np.int8))
    return tuple(map(found.__getitem__, NUMBERS))


def counted(device):
    stats = cells(device).stats
    return stats.cells, stats.detected, stats.counts


def summed(device):
    stats = cells(device).stats
    return stats.total, stats.square


def gathered(device):
    return (cells(device).expression(GENES),)


def multiplied(device):
    return (cells(device).moments(GENES).product,)


def candidates(device):
    data = cells(device)
    filtered, _ = steps.filter_genes(data, Filters(families=()))
    return filtered, steps.inverse_pca(data, filtered, InversePCA(n_top=3, variance=0.3))[0]


def corrected(device):
    data = cells(device, batch_key="lane")
    X = data.expression(GENES)
    shift = scoring.batch_shift(data, GENES, X, np.arange(len(X)), random_state=0)
    return (shift.added_to(X, np.arange(len(X))),)


def scored(model, **options):
    def run(device):
        data = cells(device)
        mask = np.isin(np.arange(len(data.names)), GENES)
        found = scoring.importance(data, mask, Importance(model, options))
        return found.mean, found.accuracy

    return run


def boosted():
    """Trees of the CPU, and what they were trained on."""
    from smash_gpu.models.boosted import Boosted

    data = cells("cpu")
    X, group = data.expression(GENES), data.labels
    return Boosted(n_estimators=10, max_depth=4).fit(X, group, stratified(group)).booster, X[:100]


def explained_trees(device):
    from smash_gpu.models.attribution import treeshap

    booster, X = boosted()
    booster.set_param({"device": device})
    return (treeshap.mean_abs(booster, place(X, device), 3),)


def explained_network(device):
    import torch

    from smash_gpu.models.attribution import deeplift
    from smash_gpu.models.torch_training import perceptron, seeded

    with seeded(0, "cpu"):
        network, x, background = perceptron(40, 5).eval(), torch.randn(30, 40), torch.randn(25, 40)
    layers = deeplift.Layers.of(network.to(device))
    parts = deeplift.contributions(layers, x.to(device), background.to(device), "tf")
    return (deeplift.mean_abs(parts, len(x)),)


def designed(device):
    adata = planted(np.random.default_rng(0), n_cells=600)
    tl.panel(adata, "cell_type", n_genes=12, device=device)
    return (adata.var["smash_panel"].to_numpy(),)


def modelled(device):
    """The panel of a model by the same importances."""
    data = cells(device)
    rng = np.random.default_rng(0)
    scores = rng.random((data.n_groups, len(data.names)))
    known = {name: profile for name, profile in steps.profiles_of(data.stats).items() if name != "fraction"}
    how = {"names": data.names, "n_genes": 20, "importance": rng.gamma(0.5, size=len(data.names)), "device": device}
    return (marker_panel.marker_panel(scores, scores, np.full_like(scores, np.nan), **known, **how),)


def judged(classifier):
    def run(device):
        data = cells(device)
        split = stratified(data.labels, test_fraction=0.3)
        return (evaluation.evaluate(data, lambda _: GENES, [split], how=Judging((classifier,))).confusions,)

    return run


BOTH = ("runs", "between")
STEPS = (
    Step("value checks", checked, EQUAL, shown=BOTH),
    Step("cells, detections and counts per class", counted, EQUAL, shown=BOTH),
    Step("sums of e and e² per class", summed, 1e-8, shown=BOTH),
    Step("expression of chosen genes (float32)", gathered, 1e-6, shown=BOTH),
    Step("sums of products of genes", multiplied, 1e-6, shown=BOTH),
    Step("filters, inverse PCA (the candidates)", candidates, EQUAL, shown=BOTH),
    Step("batch correction", corrected, OTHER, ("rapids_singlecell",), ("harmonypy",), ("runs",)),
    Step('scores of "rf"', scored("rf", n_estimators=20), OTHER, ("cuml",), shown=("runs",)),
    Step('scores of "brf"', scored("brf", n_estimators=20), OTHER, ("cuml",), ("imblearn",), shown=("runs",)),
    Step('scores of "xgboost"', scored("xgboost", n_estimators=10), OTHER, ("xgboost",), ("xgboost",), shown=("runs",)),
    Step('scores of "dnn"', scored("dnn"), OTHER, ("torch",), ("torch",), shown=("runs",)),
    Step("TreeSHAP of the same trees", explained_trees, 1e-4, ("xgboost",), ("xgboost",), BOTH, 1e-7),
    Step("DeepLIFT of the same network", explained_network, 1e-4, ("torch",), ("torch",), shown=BOTH),
    Step("designed panel", designed, EQUAL, shown=BOTH),
    Step("panel of a model, by the same importances", modelled, EQUAL, shown=BOTH),
    *(
        Step(f"`tl.evaluate` by {name}", judged(name), OTHER, ("cuml",), shown=("runs",))
        for name in ("knn", "logreg", "forest")
    ),
)


def table():
    """The table of ``docs/concepts/determinism.md``."""
    lines = ["| step | two runs on a CPU | two runs on a GPU | CPU and GPU |", "|---|---|---|---|"]
    for step in STEPS:
        runs = in_words(step.runs) if "runs" in step.shown else UNSEEN
        between = step.in_words if "between" in step.shown or step.between == OTHER else f"{step.in_words}: {UNSEEN}"
        lines.append(f"| {step.name} | bit for bit | {runs} | {between} |")
    return "".join(f"{line}\n" for line in lines)
