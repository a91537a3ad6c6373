"""How much noise a measured gene should have in the variation of `tl.panel`, at several weights.

Panels are chosen on 70 % of the cells and judged on the others, as in `benchmarks.variation`: misclassification of
kNN(3) and neighbours kept. Noise is in variances of the most variable gene. Seeds 61 and 62 served this choice only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import anndata as ad

import smash_gpu as smg
from benchmarks import record
from benchmarks.variation import ERROR, GROUPBY, SETS
from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.panel import variation
from smash_gpu.panel.problem import Problem, prepare

SEEDS, SIZES = (61, 62), (50, 150)
WEIGHTS, NOISE = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0), (0.0, 0.5, 1.0)
KEPT = "neighbour_overlap"
NONE = 1e-9  # a covariance without any noise may be singular


def main(arguments: list[str]) -> None:
    """Judge all settings, print and append one line each."""
    options = record.parser("variation_noise")
    options.add_argument("--sets", nargs="+", default=list(SETS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--n-genes", type=int, nargs="+", default=list(SIZES))
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    for seed, name, n_genes in product(options.seeds, options.sets, options.n_genes):
        adata = ad.read_h5ad(options.data / f"{name}.h5ad")
        for row in judged(adata, n_genes, seed):
            row = {"benchmark": "variation_noise", "set": name, "seed": seed, "n_genes": n_genes} | row
            record.write(options.json, [row])
            print(*row.values(), flush=True)


def judged(adata: ad.AnnData, n_genes: int, seed: int) -> Iterator[dict[str, Any]]:
    """One row per weight and noise."""
    settings = [(0.0, 0.0), *product(WEIGHTS, NOISE)]
    problems: dict[float, Problem] = {}
    lists: dict[str, Callable] = {
        f"{weight} {noise}": partial(chosen, problems=problems, weight=weight, noise=noise)
        for weight, noise in settings
    }
    how: dict[str, Any] = {"n_splits": 1, "n_random": 0, "random_state": seed, "min_cells": 10}
    smg.tl.evaluate(adata, GROUPBY, genes=lists, n_genes=n_genes, structure=[KEPT], **how)
    table = smg.get.evaluation_splits(adata).set_index("genes")
    for weight, noise in settings:
        row = table.loc[f"{weight} {noise}"]
        yield {"weight": weight, "noise": noise} | {
            metric: round(100 * float(row[metric]), 2) for metric in (ERROR, KEPT)
        }


def chosen(
    cells: ad.AnnData, n_genes: int, *, problems: dict[float, Problem], weight: float, noise: float
) -> list[str]:
    """The panel at this weight and noise; ``problems`` keeps what does not depend on the weight."""
    if noise not in problems:
        variation.NOISE = noise or NONE
        data = read(cells, {"groupby": GROUPBY, "min_cells": 10})
        levels = [panel.Level(GROUPBY, data.group, data.groups)]
        problems[noise] = prepare(data, levels, panel.Request.of({"n_genes": n_genes, "variation": 0.1}))
    found = problems[noise].variation
    assert found is not None, "the request asks for it"
    design = panel.design(replace(problems[noise], variation=replace(found, weight=weight) if weight else None))
    return [str(name) for name in design.problem.genes.names[design.panel]]
