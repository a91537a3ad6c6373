"""Models on a GPU: recorded training steps, XGBoost's rounds, the depth of cuML's forest, markers of other seeds.

On a node with a GPU: ``python -m benchmarks gpu_models --json lines.jsonl``, about two and a half minutes (an estimate:
it has not run on one yet). A part that fails writes why, and the others still run. Without a GPU
``--device cpu --cells 2000`` shows that it works. Expression is that of `benchmarks.gpu`: 1,000 genes, 30 classes, 5
markers each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise, product
from typing import Any

import numpy as np

from benchmarks import gpu, record

GENES, CLASSES = 1_000, 30
DETECTED = 0.075 * GENES
BATCHES = (400, 4_000)
DEPTHS = (None, 16, 20, 24, 32)
SETS = ("zeisel", "paul15", "pbmc3k")
TREES = 20  # as in earlier measurements of the depth


def main(arguments: list[str]) -> None:
    """Print and append the lines of every part."""
    options = parse(arguments)
    parts = {"steps": steps, "xgboost": rounds, "depth": depths, "seeds": seeds}
    for name in options.parts:
        start = time.perf_counter()
        try:
            for row in parts[name](options):
                write(options, {"part": name} | row)
        except Exception as error:  # noqa: BLE001 - the other parts still run
            write(options, {"part": name, "failed": f"{type(error).__name__}: {error}"[:500]})
        write(options, {"part": name, "what": "whole part", "seconds": time.perf_counter() - start})


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command's options."""
    options = record.parser("gpu_models")
    options.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options.add_argument("--cells", type=int, default=100_000)
    options.add_argument("--parts", nargs="+", default=["steps", "xgboost", "depth", "seeds"])
    options.add_argument("--sets", nargs="+", default=list(SETS))
    return options.parse_args(arguments)


def write(options: argparse.Namespace, row: dict) -> None:
    """One line, with the device."""
    row = {"benchmark": "gpu_models", "device": options.device, "cells": options.cells} | row
    record.write(options.json, [row])
    print({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}, flush=True)


def timed(device: str, run: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and its seconds until the device is done."""
    from smash_gpu.compute.xp import cupy

    start = time.perf_counter()
    found = run()
    if device == "cuda":
        cupy.cuda.Device().synchronize()
    return found, time.perf_counter() - start


@cache
def expression(device: str, n_cells: int) -> tuple[Any, np.ndarray, Any]:
    """Log-normalised expression on the device (cells × genes), groups, and a split."""
    from smash_gpu.compute.xp import cupy
    from smash_gpu.data.splits import stratified

    xp, rng = cupy if device == "cuda" else np, np.random.default_rng(0)
    group = rng.integers(0, CLASSES, n_cells)
    data, indices, indptr = gpu.counts(xp, gpu.rates(rng, GENES, CLASSES, DETECTED), group, 1)
    X = xp.zeros((n_cells, GENES), dtype=xp.float32)
    for start, stop in pairwise(range(0, n_cells + 1000, 1000)):
        ends = indptr[start : min(stop, n_cells) + 1]
        rows = xp.repeat(xp.arange(start, start + len(ends) - 1), xp.diff(ends).tolist())
        X[rows, indices[int(ends[0]) : int(ends[-1])]] = data[int(ends[0]) : int(ends[-1])]
    X *= DETECTED / xp.maximum(X.sum(axis=1, keepdims=True), 1)
    return xp.log1p(X), group, stratified(group)


def steps(options: argparse.Namespace) -> Iterator[dict]:
    """Milliseconds of a plain and a recorded step, and the held-out losses of three epochs, which agree.

    With the default penalty of the group lasso, and at last without.
    """
    import torch

    from smash_gpu.data.standardize import mean_std, standardize
    from smash_gpu.models import torch_training
    from smash_gpu.models.network import GROUP_LASSO
    from smash_gpu.models.training_step import GroupLasso, Step, training_step

    X, group, split = expression(options.device, options.cells)
    z = torch.from_dlpack(standardize(X, *mean_std(X)))
    y = torch_training.as_codes(group, options.device)
    train, test = (
        [(z[rows], y[rows])] for rows in (torch.as_tensor(r, device=y.device) for r in (split.train, split.test))
    )
    for penalty, batch, make in product((GROUP_LASSO, 0.0), BATCHES, (Step, training_step)):
        with torch_training.seeded(1, options.device):
            network = torch_training.perceptron(GENES, CLASSES).to(options.device)
            lasso = GroupLasso.of(network, GENES, penalty)
            step, losses = make(network, torch.ones(CLASSES, device=y.device), 1e-3, lasso), []
            for _ in range(3):
                _, seconds = timed(options.device, partial(torch_training.train_epoch, step, train, batch))
                losses.append(torch_training.held_out_loss(network, test))
        ms = 1000 * seconds / -(-len(split.train) // batch)
        row = {"what": type(step).__name__, "batch": batch, "group_lasso": penalty}
        yield row | {"ms_per_step": ms, "losses": losses}


def rounds(options: argparse.Namespace) -> Iterator[dict]:
    """Seconds and accuracy with early stopping and with 40 rounds, and which of the 100 first genes are the same."""
    from smash_gpu.models.boosted import Boosted

    X, group, split = expression(options.device, options.cells)
    settings: dict[str, dict] = {"3 rounds, to start": {"n_estimators": 3}, "early stopping": {}}
    settings["40 rounds"] = {"n_estimators": 40, "early_stopping_rounds": None}
    first: set | None = None
    for what, how in settings.items():
        model, seconds = timed(
            options.device, lambda how=how: Boosted(device=options.device, **how).fit(X, group, split)
        )
        top = set(np.argsort(-model.gain(GENES, model.kind))[:100].tolist())
        first = top if what == "early stopping" else first
        row = {"what": what, "seconds": seconds, "rounds": model.booster.num_boosted_rounds()}
        yield row | {"accuracy": accuracy(model, X, group, split), "of_top_100": len(top & (first or top))}


def depths(options: argparse.Namespace) -> Iterator[dict]:
    """Seconds, accuracy and agreement with the forest without limit, by depth and number of bins."""
    from smash_gpu import models

    X, group, split = expression(options.device, options.cells)
    bins = [{"n_bins": n} for n in (128, 32)] if options.device == "cuda" else [{}]
    whole: np.ndarray | None = None
    for how in ({"max_depth": depth} | b for b in bins for depth in DEPTHS):
        limits = {name: value for name, value in how.items() if value is not None}
        model = models.build("rf", random_state=0, device=options.device, n_estimators=TREES, **limits)
        _, seconds = timed(options.device, lambda model=model: model.fit(X, group, split))
        lists = np.argsort(-model.importance(X, group, split), axis=1)[:, :5]
        whole = lists if whole is None else whole
        shared = float(np.mean([len({*a} & {*b}) / 5 for a, b in zip(lists.tolist(), whole.tolist(), strict=True)]))
        yield how | {
            "trees": TREES,
            "seconds": seconds,
            "accuracy": accuracy(model, X, group, split),
            "of_top_5": shared,
        }


def seeds(options: argparse.Namespace) -> Iterator[dict]:
    """Accuracy and five markers per class of both forests on real data, for two seeds; to compare with the CPU's."""
    import anndata as ad

    import smash_gpu as smg

    for name in options.sets:
        adata = ad.read_h5ad(options.data / f"{name}.h5ad")
        for model, seed in (("rf", 0), ("rf", 1), ("brf", 0)):
            how = {"model": model, "random_state": seed, "min_cells": 10, "device": options.device}
            _, seconds = timed(options.device, lambda adata=adata, how=how: smg.tl.smash(adata, "cell_type", **how))
            row = {"set": name, "model": model, "seed": seed, "seconds": seconds}
            yield row | {"accuracy": float(adata.uns["smash"]["accuracy"][0]), "markers": smg.get.markers_dict(adata)}


def accuracy(model: Any, X: Any, group: np.ndarray, split: Any) -> float:
    """The share of held-out cells that a model recognises."""
    from smash_gpu.compute.xp import take

    return float(np.mean(model.predict(take(X, split.test)) == group[split.test]))
