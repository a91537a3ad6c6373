"""Panels of equal size, chosen on training cells only, by our models and by other methods.

A unit is a set and a label column (classes with fewer than ten cells are left out). Every seed holds out 30 % of each
class; a method sees the other 70 %, and kNN(3) and logistic regression on z-scores (mean and standard deviation of the
training cells) evaluate its first 10, 30 and 100 genes on the held-out cells. Selections run one at a time, each in a
separate process on ``--threads`` threads with a limit of CPU seconds. One line per unit, seed, method and budget is
appended, also if there is no result; lines already in the file are not computed again. Metrics of kNN have their plain
names, those of logistic regression begin with ``logreg_``; lines of before 28 November 2026 have the first only, and
no ``genes``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks import record
from benchmarks.baselines import METHODS, Method
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import Split

UNITS = (
    "pbmc_3batch_symphony:cell_type", "pbmc_3batch_symphony:cell_subtype", "kang_muscat:cell_type",
    "onek1k_40donors:cell_type", "pancreas_endocrinogenesis:cell_type", "pancreas_endocrinogenesis:cell_subtype",
    "citeseq_cbmc:cell_type", "paul15:cell_type", "paul15:cell_subtype", "pbmc3k:cell_type", "zeisel:cell_type",
    "zeisel:cell_subtype",
)  # fmt: skip
UNASSIGNED = "(none)"
BUDGETS = (10, 30, 100)
CLASSIFIERS = {"knn": "", "logreg": "logreg_"}  # and how the names of their metrics begin
MIN_CELLS = 10
OK, NOT_INSTALLED, TOO_LONG, FAILED, TOO_FEW = "ok", "not installed", "time limit", "failed", "too few genes"
KEY = ["set", "groupby", "seed", "method", "k"]
WALL_PER_CPU = 8
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


@dataclass(frozen=True)
class Chosen:
    """A selection: its genes, or why there are none, and its run time."""

    genes: np.ndarray
    status: str = OK
    message: str = ""
    wall_s: float | None = None
    cpu_s: float | None = None


def main(arguments: list[str]) -> None:
    """Run everything missing from the file of JSON lines, cheap methods first, and print the table."""
    options = record.parser("quality")
    options.add_argument("--sets", nargs="+", default=list(UNITS), help="set, or set:column of labels")
    options.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--limit", type=int, default=120, help="CPU seconds a selection may take")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--panels", type=Path, help="file that the chosen genes are appended to, by name")
    options.add_argument("--table", action="store_true", help="only print the tables of the JSON lines of --seeds")
    options = options.parse_args(arguments)
    if not options.table:
        from threadpoolctl import threadpool_limits

        warnings.simplefilter("ignore")
        os.environ.update(dict.fromkeys(THREAD_LIMITS, str(options.threads)))
        with threadpool_limits(options.threads):
            run(options)
    from benchmarks.quality_table import table

    print(table(options.json, options.seeds))


def run(options) -> None:
    """All methods on all units and seeds; one line per budget."""
    units = [unit for unit in UNITS if {unit, unit.partition(":")[0]} & set(options.sets)]
    done = _done(options.json)
    for name, unit, seed in product(options.methods, units, options.seeds):
        column = unit.partition(":")[2]
        where = {"set": unit.partition(":")[0], "groupby": column, "seed": seed, "method": name}
        if all((*where.values(), k) in done for k in BUDGETS):
            continue
        data = read(options.data, where["set"], column)
        split = held_out(data, seed)
        panels = selections(METHODS[name], training(data, split), seed, options.limit)
        rows = [where | {"k": k} | judged(data, split, chosen, k) for k, chosen in panels]
        shared = {"benchmark": "quality", "nested": METHODS[name].nested, "threads": options.threads}
        record.write(options.json, [shared | row for row in rows])
        if options.panels:
            lines = [where | {"k": k, "genes": data.names[c.genes].tolist()} for k, c in panels if len(c.genes)]
            with options.panels.open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
        print(*(f"{v}" for v in where.values()), *(_shown(row) for row in rows), flush=True)


@lru_cache(maxsize=1)
def read(folder: Path, name: str, column: str) -> Dataset:
    """The labelled cells of all classes with at least `MIN_CELLS` cells."""
    import anndata as ad

    from smash_gpu.annotated.read import read as read_dataset

    adata = ad.read_h5ad(folder / f"{name}.h5ad")
    adata.obs[column] = adata.obs[column].astype(object).where(adata.obs[column] != UNASSIGNED).astype("category")
    return read_dataset(adata, {"groupby": column, "min_cells": MIN_CELLS, "device": "cpu"})


def held_out(data: Dataset, seed: int) -> Split:
    """70 % of each class for the choice, 30 % for the evaluation."""
    from smash_gpu import evaluation
    from smash_gpu.data import splits

    parts = splits.repeated(data.labels, n_splits=1, test_fraction=evaluation.TEST_FRACTION, random_state=seed)
    return next(iter(parts))


def training(data: Dataset, split: Split) -> Dataset:
    """The data without the held-out cells."""
    return data.only(data.cells[split.train])


def selections(method: Method, data: Dataset, seed: int, limit: int) -> list[tuple[int, Chosen]]:
    """One selection per budget, or one for all budgets if the lists of the method are nested."""
    if method.missing:
        nothing = Chosen(np.array([], dtype=int), NOT_INSTALLED, f"no module {', '.join(method.missing)}")
        return [(k, nothing) for k in BUDGETS]
    for module in method.modules:
        import_module(module)
    import_module(f"benchmarks.baselines.{method.place[0]}")
    if method.nested:
        chosen = limited(method, data, max(BUDGETS), seed, limit)
        return [(k, chosen) for k in BUDGETS]
    return [(k, limited(method, data, k, seed, limit)) for k in BUDGETS]


def limited(method: Method, data: Dataset, n_genes: int, seed: int, limit: int) -> Chosen:
    """One selection in a forked process that ends after ``limit`` CPU seconds."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_answer, args=(sender, partial(method.choose, data, n_genes, seed), limit))
    start = time.perf_counter()
    process.start()
    sender.close()
    try:
        answer = receiver.recv() if receiver.poll(limit * WALL_PER_CPU + 1) else None
    except EOFError:
        answer = None
    if answer is None:
        answer = _unanswered(process, limit, time.perf_counter() - start)
    process.kill()
    process.join()
    return answer


def judged(data: Dataset, split: Split, chosen: Chosen, k: int) -> dict:
    """The first ``k`` genes and their metrics by every classifier, or why there are none."""
    from smash_gpu import evaluation

    genes = chosen.genes[:k]
    status = TOO_FEW if chosen.status == OK and len(genes) < k else chosen.status
    row = {"status": status, "message": chosen.message, "n_genes": len(genes), "n_groups": data.n_groups}
    row |= {"seconds": _rounded(chosen.wall_s), "cpu_seconds": _rounded(chosen.cpu_s)}
    if status == OK:
        X = data.host_expression(genes)
        row["genes"] = data.names[genes].tolist()
        for classifier, prefix in CLASSIFIERS.items():
            predicted = evaluation.predict(X, data.labels, split, scale_on_all=False, classifier=classifier)
            found = evaluation.metrics_of_labels(data.labels[split.test], predicted)
            row |= {prefix + name: value for name, value in found.items()}
    return row


def _answer(sender, choose: partial, limit: int) -> None:
    used = int(_cpu_seconds())
    resource.setrlimit(resource.RLIMIT_CPU, (used + limit + 1, used + limit + 2))
    start, cpu = time.perf_counter(), _cpu_seconds()
    try:
        data, n_genes, _ = choose.args
        genes = np.asarray(choose(), dtype=int)
        _check(genes, n_genes, len(data.names))
        chosen = Chosen(genes, OK, "", time.perf_counter() - start, _cpu_seconds() - cpu)
    except Exception as error:  # noqa: BLE001, any error of a method is recorded as its result
        message = f"{type(error).__name__}: {error}"[:300]
        chosen = Chosen(np.array([], dtype=int), FAILED, message, time.perf_counter() - start, _cpu_seconds() - cpu)
    sender.send(chosen)


def _unanswered(process, limit: int, seconds: float) -> Chosen:
    """The result of a process that sent nothing; one that still runs counts as over the limit of CPU seconds."""
    process.join(timeout=1)
    nothing, ended = np.array([], dtype=int), process.exitcode
    if ended in (None, -signal.SIGXCPU, -signal.SIGKILL):
        return Chosen(nothing, TOO_LONG, f"over {limit} CPU seconds", seconds)
    return Chosen(nothing, FAILED, f"its process ended with exit code {ended}", seconds)


def _check(genes: np.ndarray, n_genes: int, n_known: int) -> None:
    if len(genes) > n_genes or len(set(genes.tolist())) < len(genes) or not ((genes >= 0) & (genes < n_known)).all():
        raise ValueError("the gene list is too long, or holds a gene twice, or one that does not exist")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def lines(path: Path) -> Iterator[dict]:
    """The rows of a file of JSON lines; none if it does not exist."""
    if path.exists():
        yield from map(json.loads, path.read_text().splitlines())


def _done(path: Path) -> set[tuple]:
    return {tuple(row[key] for key in KEY) for row in lines(path) if row["status"] != NOT_INSTALLED}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _shown(row: dict) -> str:
    return f"k={row['k']}: " + (f"{100 * row['misclassification']:.1f}" if row["status"] == OK else row["status"])
