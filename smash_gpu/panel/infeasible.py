"""Why no panel meets a request, and what to change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from smash_gpu.errors import InfeasibleError
from smash_gpu.panel.constraints import COST, TRANSCRIPTS, Candidates, Caps, Genes
from smash_gpu.panel.feasible import LEAST_LIMIT, ROUNDING, Task, least_scale, most_genes
from smash_gpu.panel.request import MUST, OUT, Request

LIGHTEST = {TRANSCRIPTS: "lightest", COST: "cheapest"}
COLUMNS = ["constraint", "of", "asked", "possible", "way_out"]


def check_numbers(request: Request, found: Candidates, known: Genes) -> None:
    """Check that there are not too many required genes, and enough allowed ones.

    Raises
    ------
    InfeasibleError
        With the rules that removed the genes.
    """
    n, must = request.n_genes, int(np.sum(found.tier == MUST))
    if must > n:
        raise InfeasibleError(
            f"{must} genes must be in the panel, but n_genes={n}.",
            _table([("n_genes", "", n, must, f"ask for at least {must} genes, or include fewer")]),
        )
    left = int(np.sum(found.tier < OUT))
    if left >= n:
        return
    fewer = f"ask for at most {left} genes, or " * bool(left)
    rows = [("n_genes", "", n, left, f"{fewer}relax a rule")]
    back = {rule: _only_by(rule, found.hits) for rule in found.hits}
    for rule, gained in back.items():
        if gained or not any(back.values()):
            rows.append((rule, "", n, left + gained, f"without this rule, {left + gained} genes would be left"))
    raise InfeasibleError(f"n_genes={n}, but the rules leave only {left} of {len(known.names)} genes.", _table(rows))


def _only_by(rule: str, hits: Mapping[str, np.ndarray]) -> int:
    """Number of genes that this rule alone removes."""
    return int(np.sum(np.sum([*hits.values()], axis=0)[hits[rule]] == 1))


def check_caps(caps: Caps, task: Task, *, must: np.ndarray, existing: np.ndarray) -> None:
    """Check that the required genes and the existing panel exceed no cap.

    Raises
    ------
    InfeasibleError
        With the caps that are exceeded, and by how much.
    """
    over = np.flatnonzero(task.room < -ROUNDING)
    if len(over):
        used = caps.used(np.concatenate([existing, must]))
        who = (
            "the existing panel"
            if not len(must)
            else "the genes that must be in" + " and the existing panel" * bool(len(existing))
        )
        raise InfeasibleError(
            f"{who} already {'exceed' if len(must) else 'exceeds'} a cap.",
            _table([
                (caps.what[r], caps.of[r], caps.limit[r], used[r], f"raise the cap to at least {_up(used[r]):.4g}")
                for r in over
            ]),
        )  # fmt: skip


def no_room(caps: Caps, task: Task, n_given: int) -> InfeasibleError:
    """The error that no ``task.n`` genes fit all caps, with the lowest value of each cap that would be enough alone.

    Parameters
    ----------
    n_given
        Number of genes that must be in; they are counted in the limits already.
    """
    beside = f" besides the {n_given} that must be in" * bool(n_given)
    rows = []
    for what in dict.fromkeys(caps.what):
        scale, row = _least_scale(task, caps.what == what), _heaviest_row(task, caps.what == what)
        limit = caps.limit[row]
        least = scale * max(limit, LEAST_LIMIT)
        way_out = f"the {LIGHTEST[what]} {task.n} genes{beside} need {_up(least):.4g}, not {limit:g}"
        way_out += f"; raise it by {_percent_up(scale)}" * bool(limit > 0)
        if not np.isfinite(scale):
            together = _percent_up(_least_scale(task, np.ones(len(caps.what), dtype=bool)))
            way_out = f"raising this cap alone does not help; raise all caps by {together}"
        rows.append((what, caps.of[row], limit, least, way_out))
    fitting = n_given + most_genes(task)
    rows.append(("n_genes", "", n_given + task.n, fitting, f"at most {fitting} genes fit these caps"))
    return InfeasibleError(f"no {task.n} genes{beside} fit all caps together.", _table(rows))


def _least_scale(task: Task, rows: np.ndarray) -> float:
    found = least_scale(task, rows)
    return np.inf if found.x is None else float(found.x[-1])


def _heaviest_row(task: Task, rows: np.ndarray) -> int:
    """Of the given caps, the one that its lightest genes fill most."""
    light = np.sort(task.load[:, task.tier < OUT], axis=1)[:, : task.n].sum(axis=1) - task.room
    return int(np.argmax(np.where(rows, light, -np.inf)))


def _up(value: float) -> float:
    """Four significant digits, rounded up, so that what is shown is enough."""
    if not 0 < value < np.inf:
        return value
    unit = 10.0 ** (np.floor(np.log10(value)) - 3)
    return float(np.ceil(value / unit * (1 - ROUNDING)) * unit)


def _percent_up(scale: float) -> str:
    """How much to raise a limit by, rounded up to a tenth of a percent."""
    return f"{np.ceil(1000 * (scale - 1) * (1 - ROUNDING)) / 1000:.1%}" if np.isfinite(scale) else "any amount"


def _table(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"asked": float, "possible": float})
