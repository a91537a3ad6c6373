"""How well the genes tell the classes apart, measured on cells that took no part in choosing them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from smash_gpu import get
from smash_gpu.evaluation import METRICS, N_NEIGHBORS, in_words
from smash_gpu.evaluation.summary import CONDITION
from smash_gpu.report._results import Results

CLASSIFIERS = {
    "knn": f"the {N_NEIGHBORS} nearest neighbours",
    "logreg": "logistic regression",
    "forest": "a random forest",
}
CURVE = ("misclassification", "f1_macro")
CASE = ("genes", "is_random", "n_used")
PAIRS = 12
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Evaluation:
    """Values of the chapter "Evaluation".

    The tables of metrics hold per row its own columns and, under ``intervals``, a ``mean`` with ``low`` and ``high``
    per column of metrics.

    Attributes
    ----------
    how
        Options of `tl.evaluate`.
    protocol
        How cells were split, in words.
    not_judged
        Classes that were not judged, and why; one sentence per reason.
    featured
        The list whose results are shown in full, and how many genes of it.
    classifiers
        In words.
    summary
        The first metric of the featured list and of its random panels.
    cases
        Columns of ``metrics``: list, whether it stands for its random panels, number of genes judged.
    metrics
        All metrics of the largest panel of each list.
    curve
        Metrics of `CURVE` by number of genes; empty for one number.
    varied, conditions
        What differs between the other conditions, and the metrics of `CURVE` in each; empty if there is one condition.
    group_metrics, groups
        Metrics per class of the featured list.
    pairs, n_pairs
        The pairs of classes that it confuses most, and the number of all that it confuses.
    """

    how: dict[str, Any]
    protocol: str
    not_judged: list[str]
    featured: str
    classifiers: list[str]
    summary: Rows
    cases: Rows
    metrics: Rows
    curve: Rows
    varied: list[str]
    conditions: Rows
    group_metrics: list[str]
    groups: Rows
    pairs: Rows
    n_pairs: int


def describe_evaluation(results: Results) -> Evaluation | None:
    """What the last `tl.evaluate` measured; None if it has not run."""
    if not results.is_evaluated:
        return None
    how, cases = results.recorded("evaluation"), list(results.main.groupby(list(CASE), sort=False))
    adata, key, shown = results.adata, results.key, results.featured
    by_group = dict(iter(get.group_metrics(adata, genes=shown, key=key).groupby("metric", sort=False)))
    pairs = get.unresolved_pairs(adata, genes=shown, key=key)
    varied, conditions = _conditions(results.cases)
    summary = results.main[(results.main["genes"] == shown) & (results.main["metric"] == METRICS[0])].to_dict("records")
    return Evaluation(
        how=how,
        protocol=in_words(how, get.evaluation_splits(adata, key=key)["split"].nunique()),
        not_judged=[str(sentence) for sentence in adata.uns[key].get("evaluation_not_judged", ())],
        featured=f"{shown}, {summary[0]['n_used']} genes",
        classifiers=[CLASSIFIERS.get(name, name) for name in how.get("classifier", ())],
        summary=summary,
        cases=[dict(zip(CASE, case, strict=True)) for case, _ in cases],
        metrics=aligned(case.set_index("metric").loc[[*METRICS]].reset_index() for _, case in cases),
        curve=_curve(results),
        varied=varied,
        conditions=conditions,
        group_metrics=[*map(str, by_group)],
        groups=aligned(by_group.values()),
        pairs=pairs[:PAIRS].to_dict("records"),
        n_pairs=len(pairs),
    )


def aligned(tables: Iterable[pd.DataFrame]) -> Rows:
    """Rows of the first table, each with the same row of every table as ``intervals``."""
    each = [table.to_dict("records") for table in tables]
    return [{**rows[0], "intervals": rows} for rows in zip(*each, strict=True)]


def _curve(results: Results) -> Rows:
    tables = [get.learning_curve(results.adata, metric, key=results.key) for metric in CURVE]
    return aligned(tables) if tables[0]["n_genes"].nunique() > 1 else []


def _conditions(cases: pd.DataFrame) -> tuple[list[str], Rows]:
    """The largest panel of each list with every classifier and on poorer data, if there is more than one of these."""
    largest = cases[cases["n_genes"] == cases.groupby("genes", sort=False)["n_genes"].transform("max")]
    varied = [name for name in ("classifier", *CONDITION) if largest[name].nunique() > 1]
    largest = largest.replace({"classifier": CLASSIFIERS})
    return varied, aligned(largest[largest["metric"] == metric] for metric in CURVE) if varied else []
