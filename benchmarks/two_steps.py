"""Sub-types in one step or in two (paper, table 3), and a condition as the class (paper, table 6), on held-out cells.

One step: a model chooses genes for all sub-types at once. Two steps: it chooses genes for the broad types, then for the
sub-types inside each broad type, and the two lists take turns. Both have the same number of genes and see the same
70 % of the cells; kNN(3) and logistic regression name the sub-types of the others. ``--condition`` does the same for
stimulated and control cells, alone and by cell type, with one donor held out, beside Wilcoxon, `tl.panel` and random
genes. One line per set, seed, model, way and number of genes.
"""

from __future__ import annotations

import time
import warnings
from itertools import chain, product, zip_longest

import numpy as np

from benchmarks import record
from benchmarks.tables.markdown import markdown

SEEDS = (61, 62, 63)
BUDGETS = (30, 100)
SETS = ("zeisel", "paul15", "pancreas_endocrinogenesis")
MODELS = ("rf", "brf", "xgboost", "dnn")
BROAD, FINE = "cell_type", "cell_subtype"
CLASSIFIERS = ("knn", "logreg")


def main(arguments: list[str]) -> None:
    """Run all sets, models and seeds, append one line each, and print the table."""
    options = record.parser("two_steps")
    options.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    options.add_argument("--models", nargs="+", default=list(MODELS))
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--condition", action="store_true", help="the condition as the class, instead of sub-types")
    options.add_argument("--table", action="store_true", help="only print the tables of an earlier run's JSON lines")
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    if not options.table:
        runs = condition(options) if options.condition else sub_types(options)
        for rows in runs:
            record.write(options.json, rows)
            print(*(f"{v:.3f}" if isinstance(v, float) else v for v in rows[-1].values()), flush=True)
    print(table(options.json))


def sub_types(options):
    """The lines of every set, model and seed."""
    from benchmarks.quality import held_out, read, training

    for name, seed, model in product(options.sets, options.seeds, options.models):
        data = read(options.data, name, FINE)
        split = held_out(data, seed)
        where = {"benchmark": "two_steps", "set": name, "seed": seed, "model": model}
        train = _annotated(options.data, name)[training(data, split).cells].copy()
        yield [where | row for row in _judged(data, split, _one_and_two(train, model, seed))]


def _one_and_two(train, model: str, seed: int):
    """Name of each way, its genes in order, and the seconds that it took; tl.panel's is made for each number."""
    import smash_gpu as smg

    most, how = max(BUDGETS), {"model": model, "random_state": seed}
    start = time.perf_counter()
    smg.tl.smash(train, FINE, **how)
    yield "one step", smg.get.marker_panel(train, most), time.perf_counter() - start
    start = time.perf_counter()
    smg.tl.smash(train, BROAD, **how, key="broad")
    broad = smg.get.marker_panel(train, most, key="broad")
    smg.tl.smash(train, FINE, within=BROAD, **how, key="fine")
    turns = chain.from_iterable(zip_longest(broad, smg.get.marker_panel(train, most, key="fine")))
    yield "two steps", list(dict.fromkeys(turns))[:most], time.perf_counter() - start


def condition(options):
    """Condition, and condition by cell type: one donor chooses and teaches, the other is judged."""
    import anndata as ad

    from benchmarks.quality import training
    from smash_gpu.annotated.read import read
    from smash_gpu.data.splits import Split

    adata = ad.read_h5ad(options.data / "kang_muscat.h5ad")
    adata.obs["condition_by_type"] = adata.obs["condition"].astype(str) + " " + adata.obs["cell_type"].astype(str)
    for column, seed, donor in product(("condition", "condition_by_type"), options.seeds, sorted(set(adata.obs.donor))):
        inside = (adata.obs["donor"] != donor).to_numpy()
        data = read(adata, {"groupby": column, "min_cells": 10, "device": "cpu"})
        split = Split(np.flatnonzero(inside), np.flatnonzero(~inside))
        where = {"benchmark": "condition", "set": column, "seed": seed, "held_out_donor": str(donor)}
        for model, *found in _lists(adata[inside].copy(), column, training(data, split), options.models, seed):
            yield [where | {"model": model} | row for row in _judged(data, split, [("one step", *found)])]


def _lists(train, column: str, part, models: list[str], seed: int):
    """The genes of our models, of `tl.panel`, of Wilcoxon and of chance, with seconds."""
    import smash_gpu as smg
    from benchmarks.baselines import METHODS

    for model in models:
        start = time.perf_counter()
        smg.tl.smash(train, column, model=model, random_state=seed)
        yield model, smg.get.marker_panel(train, max(BUDGETS)), time.perf_counter() - start
    for name in ("wilcoxon", "random"):
        start = time.perf_counter()
        yield name, part.names[METHODS[name].choose(part, max(BUDGETS), seed)].tolist(), time.perf_counter() - start
    start = time.perf_counter()
    smg.tl.panel(train, column, n_genes=max(BUDGETS), nested=True)
    yield "tl.panel", smg.get.panel(train), time.perf_counter() - start


def _annotated(folder, name: str):
    import anndata as ad

    from benchmarks.quality import UNASSIGNED

    adata = ad.read_h5ad(folder / f"{name}.h5ad")
    adata.obs[FINE] = adata.obs[FINE].astype(object).where(adata.obs[FINE] != UNASSIGNED).astype("category")
    return adata


def _judged(data, split, lists) -> list[dict]:
    """One line per way and number of genes."""
    from smash_gpu import evaluation

    rows = []
    for (way, genes, seconds), k in product(list(lists), BUDGETS):
        X = data.host_expression(data.gene_names.numbers(genes[:k], "genes"))
        row = {"way": way, "k": k, "n_genes": len(genes[:k]), "seconds": round(seconds, 2)}
        for classifier in CLASSIFIERS:
            predicted = evaluation.predict(X, data.labels, split, classifier=classifier, scale_on_all=False)
            found = evaluation.metrics_of_labels(data.labels[split.test], predicted)
            row |= {
                f"{classifier}_misclassification": found["misclassification"],
                f"{classifier}_f1": found["f1_macro"],
            }
        rows.append(row)
    return rows


def table(path) -> str:
    """Both tables, of the lines that there are."""
    return "\n".join(filter(None, (of_steps(path), of_conditions(path))))


def of_steps(path) -> str:
    """Means over seeds in %, kNN / logistic regression; two steps minus one step with its standard error over seeds."""
    rows = _lines(path, "two_steps", ["set", "model", "k", "seed", "way"])
    head = ["set", "model", "genes", "seeds", "one step", "two steps", "difference (SE)"]
    shown = []
    for (name, model, k), part in rows.groupby(["set", "model", "k"], sort=False):
        found = [
            part.pivot_table(index="seed", columns="way", values=f"{c}_misclassification") * 100 for c in CLASSIFIERS
        ]
        ways = (" / ".join(f"{f[way].mean():.1f}" for f in found) for way in ("one step", "two steps"))
        gaps = [f["two steps"] - f["one step"] for f in found]
        gap = " / ".join(f"{g.mean():+.1f}" + (f" ({g.sem():.1f})" if len(g) > 1 else "") for g in gaps)
        shown.append([name, model, f"{k}", f"{len(gaps[0])}", *ways, gap.replace("-", "−")])
    return markdown(head, shown) if shown else ""


def of_conditions(path) -> str:
    """Means over held-out donors and seeds in %, kNN / logistic regression."""
    rows = _lines(path, "condition", ["set", "model", "k", "seed", "held_out_donor"])
    models = list(rows["model"].unique())
    shown = []
    for (name, k), part in rows.groupby(["set", "k"], sort=False):
        means = part.groupby("model")[[f"{c}_misclassification" for c in CLASSIFIERS]].mean() * 100
        cells = (" / ".join(f"{v:.1f}" for v in means.loc[model]) for model in models)
        shown.append([name.replace("_", " "), f"{k}", *cells])
    return markdown(["class", "genes", *models], shown) if shown else ""


def _lines(path, benchmark: str, key: list[str]):
    """The lines of one of the two benchmarks, each once."""
    import pandas as pd

    rows = pd.read_json(path, lines=True)
    return rows[rows["benchmark"] == benchmark].drop_duplicates(key, keep="last")
