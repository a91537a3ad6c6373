"""How much of the structure inside types the genes keep, and how many types they capture."""

from __future__ import annotations

from dataclasses import dataclass

from smash_gpu import get
from smash_gpu.evaluation.metrics import STRUCTURE
from smash_gpu.report._evaluation import CASE, Rows, aligned
from smash_gpu.report._results import Results


@dataclass(frozen=True)
class Structure:
    """Values of the chapter "Structure inside types"; ``cases`` and the tables are as in `Evaluation`.

    Attributes
    ----------
    names
        The metrics that were computed.
    metrics
        Of the largest panel of each list.
    curve
        By number of genes; empty for one number.
    """

    names: list[str]
    cases: Rows
    metrics: Rows
    curve: Rows


def describe_structure(results: Results) -> Structure | None:
    """What `tl.evaluate` measured with ``structure=``; None if that was not asked for."""
    names = [name for name in STRUCTURE if results.is_evaluated and name in set(results.main["metric"])]
    if not names:
        return None
    cases = list(results.main.groupby(list(CASE), sort=False))
    curves = [get.learning_curve(results.adata, name, key=results.key) for name in names]
    return Structure(
        names=names,
        cases=[dict(zip(CASE, case, strict=True)) for case, _ in cases],
        metrics=aligned(case.set_index("metric").loc[names].reset_index() for _, case in cases),
        curve=aligned(curves) if curves[0]["n_genes"].nunique() > 1 else [],
    )
