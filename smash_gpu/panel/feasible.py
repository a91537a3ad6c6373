"""Finds a panel of exactly N genes that fits all caps and holds the requested markers, if there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from smash_gpu.panel.constraints import Caps
from smash_gpu.panel.request import OUT, SPARE

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

ROUNDING = 1e-9  # of a limit
SECONDS = 20.0  # time limit of one call of the solver
NUMBERS_FOR_EXACT = 2**15  # (caps + requested markers) × genes; above this, branching takes too long
MAX_TRIES = 200
OPTIMAL, INFEASIBLE = 0, 2  # of HiGHS
LIGHTNESS = 1e-4  # weight of a full cap relative to one missing marker


@dataclass(frozen=True)
class Task:
    """``n`` genes are still to be chosen.

    Attributes
    ----------
    tier
        Of every gene; `OUT` for genes that cannot be chosen or already are.
    load, room
        What each gene adds to each cap (rows × genes) and what is left of the cap, both as shares of its limit.
    markers, missing
        Which genes are markers of which class (classes × genes), and how many each class still needs.
    """

    n: int
    tier: np.ndarray
    load: np.ndarray
    room: np.ndarray
    markers: np.ndarray
    missing: np.ndarray

    @property
    def genes(self) -> np.ndarray:
        """Numbers of the genes that can be chosen."""
        return np.flatnonzero(self.tier < OUT)

    @property
    def weight(self) -> np.ndarray:
        """The largest share of a limit that each gene takes."""
        return self.load.max(axis=0, initial=0.0)

    def fits(self, panel: np.ndarray) -> bool:
        """Whether these are ``n`` genes that exceed no cap."""
        return len(panel) == self.n and bool((self.load[:, panel].sum(axis=1) <= self.room + ROUNDING).all())

    def lacks(self, panel: np.ndarray) -> np.ndarray:
        """Number of markers that each class still misses with these genes."""
        return np.maximum(self.missing - self.markers[:, panel].sum(axis=1), 0)


@dataclass(frozen=True)
class Completion:
    """Genes that complete the panel (None if none were found), and the fewest markers that any completion misses."""

    panel: np.ndarray | None
    least_lacking: int


def shares(caps: Caps, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loads, and the room that the genes ``taken`` leave, as shares of each limit."""
    load = caps.load / caps.unit[:, None]
    return load, caps.limit / caps.unit - load[:, taken].sum(axis=1)


def completion(task: Task) -> Completion:
    """``task.n`` light genes that fit the caps, with as few markers missing as possible.

    Starts from light genes and replaces them by light markers of many classes. If markers are still missing, the linear
    relaxation bounds what is possible, and for small problems branching (HiGHS) finds it.
    """
    light = _lightest(task)
    if light is None:
        return Completion(None, 0)
    found = _with_markers(task, light)
    lacking = int(task.lacks(found).sum())
    least = 0 if not lacking else int(np.ceil(_optimum(task).fun - 1 - LIGHTNESS - 1e-6))
    if lacking > least and _is_small(task):
        exact = _optimum(task, integral=True)
        panels = [panel for panel in (_rounded(task, exact), found) if panel is not None]
        found = min(panels, key=lambda panel: task.lacks(panel).sum())
        least = int(task.lacks(found).sum()) if exact.status == OPTIMAL else least
    return Completion(found, least)


def least_scale(task: Task, rows: np.ndarray, *, integral: bool = False) -> OptimizeResult:
    """The smallest factor on the limits of ``rows`` at which ``n`` genes fit all caps; it is ``x[-1]``.

    Genes may be taken in part, unless ``integral`` is given and the problem is small.
    """
    genes, n = task.genes, len(task.genes)
    held = np.hstack([task.load[np.ix_(~rows, genes)], np.zeros((np.sum(~rows), 1))])
    scaled = np.hstack([task.load[np.ix_(rows, genes)], np.full((rows.sum(), 1), -1.0)])
    return solved(
        np.append(np.zeros(n), 1.0),
        np.append(np.ones(n), np.inf),
        (np.append(np.ones(n), 0.0)[None], task.n, task.n),
        (held, -np.inf, task.room[~rows]),
        (scaled, -np.inf, task.room[rows] - 1),
        integrality=np.append(np.ones(n), 0.0) * (integral and _is_small(task)),
    )


def most_genes(task: Task) -> int:
    """An upper bound on how many genes fit all caps together, exact for small problems."""
    load, ones = task.load[:, task.genes], np.ones(len(task.genes))
    whole = ones * _is_small(task)
    found = solved(-ones, ones, (load, -np.inf, np.maximum(task.room, 0)), integrality=whole)
    return int(np.floor(-found.fun + 1e-6))


def _lightest(task: Task) -> np.ndarray | None:
    """Light genes that fit, ignoring markers; None if there are none, or none were found in time."""
    spare = (task.tier == SPARE)[task.genes]
    panel = task.genes[np.lexsort((task.weight[task.genes], spare))[: task.n]]
    if task.fits(panel) or not len(task.load):
        return panel if task.fits(panel) else None
    relaxed = least_scale(task, np.ones(len(task.load), dtype=bool))
    if relaxed.x is None or relaxed.x[-1] > 1 + ROUNDING:
        return None
    panel = task.genes[np.argsort(-relaxed.x[:-1], kind="stable")[: task.n]]
    return (
        panel if task.fits(panel) else _rounded(task, _optimum(replace(task, missing=0 * task.missing), integral=True))
    )


def _with_markers(task: Task, panel: np.ndarray) -> np.ndarray:
    """The panel with genes replaced one by one by missing markers, light markers of many classes first."""
    cost = task.weight + (task.tier == SPARE)
    while len(panel) and (lacks := task.lacks(panel)).any():
        helped = task.markers[lacks > 0].sum(axis=0) / (1e-3 + cost)
        helped[task.tier == OUT] = 0
        helped[panel] = 0
        best = np.argsort(-helped, kind="stable")[:MAX_TRIES]
        tried = (_exchanged(task, panel, gene) for gene in best[helped[best] > 0])
        better = next((other for other in tried if other is not None), None)
        if better is None:
            break
        panel = better
    return panel


def _exchanged(task: Task, panel: np.ndarray, gene: int) -> np.ndarray | None:
    """The panel with ``gene`` in place of another, if it then fits and misses fewer markers; else None."""
    missing = task.missing - task.markers[:, panel].sum(axis=1) - task.markers[:, gene]
    lacks = np.maximum(missing[:, None] + task.markers[:, panel], 0).sum(axis=0)
    room = task.room - task.load[:, panel].sum(axis=1) - task.load[:, gene]
    lacks = np.where((room[:, None] + task.load[:, panel] >= -ROUNDING).all(axis=0), lacks, np.inf)
    leaving = np.lexsort((-task.weight[panel], lacks))[0]
    if not lacks[leaving] < task.lacks(panel).sum():
        return None
    return np.append(np.delete(panel, leaving), gene)


def _is_small(task: Task) -> bool:
    rows = len(task.load) + int(np.sum(task.missing > 0)) + 1
    return rows * len(task.genes) <= NUMBERS_FOR_EXACT


def _optimum(task: Task, *, integral: bool = False) -> OptimizeResult:
    """Minimise 1 + the number of missing markers + `LIGHTNESS` × how full the fullest cap is.

    The variables are the genes, the missing markers of each class, the fullest cap, and a constant 1, which makes the
    relative gap of the branching well defined.
    """
    n, needy = len(task.genes), np.flatnonzero(task.missing > 0)
    missing = task.missing[needy].astype(float)
    price = np.concatenate([1e-9 * (task.tier[task.genes] == SPARE), np.ones(len(needy)), [LIGHTNESS, 1.0]])
    genes = np.concatenate([np.ones(n), np.zeros(len(needy) + 2)])
    load = np.hstack([task.load[:, task.genes], np.zeros((len(task.load), len(needy) + 2))])
    load[:, -2] = -1.0
    markers = sparse.csr_array(task.markers[np.ix_(needy, task.genes)].astype(float))
    markers = sparse.hstack([markers, sparse.eye_array(len(needy), len(needy) + 2)], format="csr")
    upper = np.concatenate([np.ones(n), missing, [1.0, 1.0]])
    options = {"mip_rel_gap": 0.5 / (1 + missing.sum())}
    return solved(
        price, upper, (genes[None], task.n, task.n), (load, -np.inf, task.room - 1), (markers, missing, np.inf),
        lower=np.append(np.zeros(len(price) - 1), 1.0), integrality=genes * integral, options=options,
    )  # fmt: skip


def _rounded(task: Task, found: OptimizeResult) -> np.ndarray | None:
    """The genes of a solution, if they fit; HiGHS may exceed a limit by a millionth."""
    if found.x is None:
        return None
    panel = task.genes[np.argsort(-found.x[: len(task.genes)], kind="stable")[: task.n]]
    return panel if task.fits(panel) else None


def solved(price: np.ndarray, upper: np.ndarray, *rows: tuple, lower: Any = 0.0, **more: Any) -> OptimizeResult:
    """The smallest ``price · x`` with ``low ≤ A x ≤ high`` for each of ``rows``."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    options = {"time_limit": SECONDS} | more.pop("options", {})
    limits = [LinearConstraint(*row) for row in rows if row[0].shape[0]]
    return milp(price, constraints=limits, bounds=Bounds(lower, upper), options=options, **more)
