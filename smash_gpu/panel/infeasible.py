"""Why no panel meets a request, and what to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from smash_gpu.errors import InfeasibleError
from smash_gpu.panel.constraints import COST, TRANSCRIPTS, Candidates, Caps, Genes
from smash_gpu.panel.feasible import ROUNDING, Task, least_scale, most_genes
from smash_gpu.panel.quotas import LEAST, Quota
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


def check_quotas(quotas: Mapping[str, Quota], found: Candidates) -> None:
    """Check that the rules leave enough genes of every group.

    Raises
    ------
    InfeasibleError
        With the quotas, and the rules that removed their genes.
    """
    rows: list[tuple] = []
    for name, quota in quotas.items():
        inside = found.groups[name]
        left = inside & (found.tier < OUT)
        left[found.existing] |= inside[found.existing]
        have = int(left.sum())
        if have >= quota.low:
            continue
        rows.append((LEAST, name, quota.low, have, f"ask for at most {have} genes of {name}, or relax a rule"))
        hits = {rule: hit & inside & ~left for rule, hit in found.hits.items()}
        for rule, gained in ((rule, _only_by(rule, hits)) for rule in hits):
            if gained:
                way_out = f"without this rule, {have + gained} genes of {name} would be left"
                rows.append((rule, name, quota.low, have + gained, way_out))
    if rows:
        names = ", ".join(dict.fromkeys(row[1] for row in rows))
        raise InfeasibleError(f"the data and the rules leave too few genes for quotas: {names}.", _table(rows))


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
        what = "quota" if caps.is_quota[over].all() else "cap"
        raise InfeasibleError(
            f"{who} already {'exceed' if len(must) else 'exceeds'} a {what}.",
            _table([_over(caps, row, used[row]) for row in over.tolist()]),
        )


def _over(caps: Caps, row: int, used: float) -> tuple:
    limit, possible = (float(caps.as_asked(row, value)) for value in (caps.limit[row], used))
    way_out = f"raise the cap to at least {_up(used):.4g}"
    if caps.is_quota[row]:
        way_out = f"ask for at {'most' if caps.what[row] == LEAST else 'least'} {possible:.0f} genes of {caps.of[row]}"
        way_out += ", or change the genes that must be in"
    return caps.what[row], caps.of[row], limit, possible, way_out


def no_room(caps: Caps, task: Task, n_given: int) -> InfeasibleError:
    """The error that no ``task.n`` genes fit all caps, with the lowest value of each cap that would be enough alone.

    Parameters
    ----------
    n_given
        Number of genes that must be in; they are counted in the limits already.
    """
    beside = f" besides the {n_given} that must be in" * bool(n_given)
    rows = []
    for what in dict.fromkeys(caps.what[~caps.is_quota]):
        scale, row = _least_scale(task, caps.what == what), _heaviest_row(task, caps.what == what)
        limit = caps.limit[row]
        least = scale * caps.unit[row]
        way_out = f"the {LIGHTEST[what]} {task.n} genes{beside} need {_up(least):.4g}, not {limit:g}"
        way_out += f"; raise it by {_percent_up(scale)}" * bool(limit > 0)
        if not np.isfinite(scale):
            together = _percent_up(_least_scale(task, np.ones(len(caps.what), dtype=bool)))
            way_out = f"raising this cap alone does not help; raise all caps by {together}"
        rows.append((what, caps.of[row], limit, least, way_out))
    rows += [_quota_row(caps, task, row) for row in np.flatnonzero(caps.is_quota).tolist()]
    kept = caps.what != LEAST
    fitting = n_given + most_genes(replace(task, load=task.load[kept], room=task.room[kept]))
    if fitting < n_given + task.n or not caps.is_quota.any():
        rows.append(("n_genes", "", n_given + task.n, fitting, f"at most {fitting} genes fit these caps"))
    those = " and ".join(["caps"] * bool((~caps.is_quota).any()) + ["quotas"] * bool(caps.is_quota.any()))
    return InfeasibleError(f"no {task.n} genes{beside} fit all {those} together.", _table(rows))


def _quota_row(caps: Caps, task: Task, row: int) -> tuple:
    """What a quota would have to be, if only this one were changed."""
    found = least_scale(task, np.arange(len(caps.what)) == row, integral=True)
    limit = caps.as_asked(row, caps.limit[row])
    if found.x is None:
        return caps.what[row], caps.of[row], limit, np.nan, "changing this quota alone does not help"
    most = np.ceil(caps.limit[row] + (found.x[-1] - 1) * caps.unit[row] - 1e-6)
    possible = float(caps.as_asked(row, most))
    end = "at most" if caps.what[row] == LEAST else "at least"
    return caps.what[row], caps.of[row], limit, possible, f"ask for {end} {possible:.0f} genes of {caps.of[row]} here"


def _least_scale(task: Task, rows: np.ndarray) -> float:
    found = least_scale(task, rows, integral=True)
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
