"""Certificates: why a panel cannot be what was asked, and what would give way."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smash_gpu.errors import InfeasibleError
from smash_gpu.panel.constraints import Candidates, Caps, Genes
from smash_gpu.panel.feasible import ROUNDING, Task, least_scale, most_genes
from smash_gpu.panel.request import MUST, OUT, Request

COLUMNS = ["constraint", "of", "asked", "possible", "way_out"]


def check_numbers(request: Request, found: Candidates, known: Genes) -> None:
    """Too many genes that must be in, or too few that may.

    Raises
    ------
    InfeasibleError
        With the rules that took the genes away.
    """
    n, must = request.n_genes, int(np.sum(found.tier == MUST))
    if must > n:
        raise InfeasibleError(
            f"{must} genes must be in a panel of {n}.",
            _table([("n_genes", "", n, must, f"ask for at least {must} genes, or include fewer")]),
        )
    left = int(np.sum(found.tier < OUT))
    if left >= n:
        return
    rows = [("n_genes", "", n, left, f"ask for at most {left} genes, or relax a rule")]
    for rule, hit in found.hits.items():
        others = np.any([h for other, h in found.hits.items() if other != rule] or [np.zeros_like(hit)], axis=0)
        back = int(np.sum(hit & ~others))
        rows.append((rule, "", n, left + back, f"without it {left + back} genes would be left"))
    raise InfeasibleError(
        f"a panel of {n} genes was asked for, but the rules leave {left} of {len(known.names)}.", _table(rows)
    )


def check_caps(caps: Caps, task: Task, *, must: np.ndarray, existing: np.ndarray) -> None:
    """Caps that the genes given already exceed.

    Raises
    ------
    InfeasibleError
        With the rows that are exceeded and by how much.
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
            f"{who} alone exceed what was capped.",
            _table([
                (caps.what[r], caps.of[r], caps.limit[r], used[r], f"raise the cap to {used[r]:.4g} at least")
                for r in over
            ]),
        )  # fmt: skip


def no_room(caps: Caps, task: Task) -> InfeasibleError:
    """No ``task.n`` genes fit the caps together: the least of each cap that would do while the others stay."""
    rows = []
    for what in dict.fromkeys(caps.what):
        mine = caps.what == what
        scale = _least_scale(task, mine)
        heaviest = _heaviest_class(caps, task, mine)
        least = scale * caps.limit[heaviest]
        way_out = (
            f"the lightest {task.n} genes need {least:.4g}, not {caps.limit[heaviest]:g}: raise it by {scale - 1:.1%}"
            if np.isfinite(scale)
            else "raising this cap alone does not help"
        )
        rows.append((what, caps.of[heaviest], caps.limit[heaviest], least, way_out))
    fitting = most_genes(task)
    rows.append(("n_genes", "", task.n, fitting, f"at most {fitting} more genes fit these caps"))
    return InfeasibleError(f"no {task.n} genes fit the caps together.", _table(rows))


def _least_scale(task: Task, rows: np.ndarray) -> float:
    found = least_scale(task, rows)
    return np.inf if found.x is None else float(found.x[-1])


def _heaviest_class(caps: Caps, task: Task, rows: np.ndarray) -> int:
    """The row whose lightest genes fill it most."""
    light = np.sort(task.load[:, task.tier < OUT], axis=1)[:, : task.n].sum(axis=1) - task.room
    return int(np.argmax(np.where(rows, light, -np.inf)))


def _table(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"asked": float, "possible": float})
