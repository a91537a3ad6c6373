"""Chooses genes on the training cells of each split and evaluates them on the held-out cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from smash_gpu.compute.xp import namespace, to_host
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import Split
from smash_gpu.errors import warn
from smash_gpu.evaluation import degrade, random_panels
from smash_gpu.evaluation.classifiers import predict
from smash_gpu.evaluation.judged import with_judged_cells
from smash_gpu.evaluation.judging import INTACT, Condition, Judging
from smash_gpu.evaluation.metrics import CAPTURED, confusion_of, metrics_of
from smash_gpu.evaluation.structure import Structure, captured, kept, structure_of
from smash_gpu.runtime.progress import track

ONLY = "panel"
SELECTION, LIST = "selection", "list"
FOREST = "forest"  # the classifier of captured types
FAILING, RANDOM = 1, 2  # part of the seed, so that the two uses get different random numbers
Choose = Callable[[Dataset], np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    Attributes
    ----------
    table
        One row per list, split, condition, classifier and number of genes; ``random`` is 0 for the list itself,
        otherwise the number of a random panel matched to it. ``n_used`` is the number of genes that were judged: fewer
        than ``n_genes`` if the list is shorter.
    confusions
        Held-out cells by true and predicted group; rows of ``table`` × groups × groups. Cells whose group has no
        training cell in the split are not judged: they are in no count.
    panels
        Genes of each list and split, in order: ``genes``, ``split``, ``rank``, ``gene`` (gene number).
    """

    table: pd.DataFrame
    confusions: np.ndarray
    panels: pd.DataFrame

    @property
    def confusion(self) -> np.ndarray:
        """Sum of ``confusions`` over all rows; groups × groups."""
        return self.confusions.sum(axis=0)


@dataclass(frozen=True)
class _Panel:
    """The ordered gene numbers of a list, or of its random panel, in one split."""

    genes: str
    number: int
    split: Split
    random: int
    order: np.ndarray


@dataclass(frozen=True)
class _Gathered:
    """Expression ``X`` of the numbered ``genes``, cells × genes on host or device, ordered by name so that file order
    has no effect; the same as it was measured if training cells are ``intact``, else None.
    """

    genes: np.ndarray
    X: Any
    intact: Any = None

    def columns(self, genes: np.ndarray) -> np.ndarray:
        """Columns of ``X`` with the numbered genes, sorted."""
        return np.flatnonzero(np.isin(self.genes, genes))


def evaluate(
    data: Dataset,
    choose: Choose | Mapping[str, Choose],
    splits: Iterable[Split],
    *,
    scale_on_all: bool = False,
    how: Judging | None = None,
) -> Evaluation:
    """Choose genes on the training cells of each split and evaluate them on its held-out cells.

    Every chooser runs once per split, for the longest prefix. The expression of all genes in any list is read once per
    level of thinning.

    Parameters
    ----------
    choose
        A function that takes the data without the held-out cells and returns ordered gene numbers, or several such
        functions by name; a fixed list is a function that ignores its data.
    splits
        Over ``data.cells``.
    how
        Settings; by default nearest neighbours on the whole list, with unchanged counts.

    Raises
    ------
    ValueError
        If no split has a held-out cell that can be judged.
    """
    how = how or Judging(scale_on_all=scale_on_all)
    degrade.check(data, how.conditions)
    choosers = choose if isinstance(choose, Mapping) else {ONLY: choose}
    splits = with_judged_cells(data.labels, list(splits))
    panels = list(_choose(data, choosers, splits, how))
    union = np.unique(np.concatenate([panel.order for panel in panels]))
    union = union[np.argsort(data.names[union].astype(str))]
    rows, confusions = [], []
    structures = _structures(data, how) if set(how.structure) - {CAPTURED} else None
    intact = degrade.expression(data, union, INTACT, how.random_state) if how.intact_training else None
    for values in dict.fromkeys(condition.values for condition in how.conditions):
        gathered = _Gathered(union, degrade.expression(data, union, values, how.random_state), intact)
        conditions = [condition for condition in how.conditions if condition.values == values]
        for panel, condition in track(list(product(panels, conditions)), "judging", unit="panel"):
            whole = structures(panel.number, panel.split) if structures else None
            for row, confusion in _judge(data, gathered, panel, condition, how=how, whole=whole):
                rows.append(row | metrics_of(confusion))
                confusions.append(confusion)
        del gathered  # free it before the next level is read
    return Evaluation(pd.DataFrame(rows), np.array(confusions, dtype=np.int32), _genes_of(panels))


def training_data(data: Dataset, cells: np.ndarray) -> Dataset:
    """The data of the numbered ``data.cells``, without groups that have one cell: no model can learn them."""
    sizes = np.bincount(data.labels[cells], minlength=data.n_groups)
    alone = np.flatnonzero(sizes == 1)
    if len(alone):
        warn(f"{', '.join(map(str, data.groups[alone]))}: one training cell only, so left out while genes are chosen.")
    return data.only(data.cells[cells[sizes[data.labels[cells]] > 1]])


def _choose(data: Dataset, choosers: Mapping[str, Choose], splits: list[Split], how: Judging) -> Iterator[_Panel]:
    bins: Any = None
    for number, split in enumerate(track(splits, "evaluating", unit="split")):
        part = training_data(data, split.train)
        for name, choose in choosers.items():
            order = np.asarray(choose(part))
            yield _Panel(name, number, split, 0, order)
            if how.n_random and bins is None:
                bins = random_panels.expression_bins(data.stats.pooled.mean[0], data.names)
            for draw in range(1, how.n_random + 1):
                seed = (how.random_state, RANDOM, number, draw)
                yield _Panel(name, number, split, draw, random_panels.matched_panel(order, bins, data.names, seed))


def _structures(data: Dataset, how: Judging) -> Callable[[int, Split], Structure]:
    """The structure to keep by the number of the split; that of the last one is remembered."""

    @lru_cache(maxsize=1)
    def one(number: int) -> Structure:
        return structure_of(
            data, data.only(data.cells[splits[number].train]), splits[number], random_state=how.random_state,
            wanted=how.structure,
        )  # fmt: skip

    splits = dict[int, Split]()

    def of(number: int, split: Split) -> Structure:
        splits[number] = split
        return one(number)

    return of


def _judge(
    data: Dataset, gathered: _Gathered, panel: _Panel, condition: Condition, *, how: Judging, whole: Structure | None
) -> Iterator[tuple[dict, np.ndarray]]:
    split = panel.split
    seed = (how.random_state, FAILING, panel.number)
    fails = degrade.failed(data.names[gathered.genes], condition.dropout, seed)

    def expression(n_used: int) -> tuple[np.ndarray, Any, Any]:
        """Columns of the list, their expression, and that of training cells if it is another."""
        chosen, xp = gathered.columns(panel.order[:n_used]), namespace(gathered.X)
        part = gathered.X[:, xp.asarray(chosen)]
        part[:, xp.asarray(fails[chosen])] = 0
        keeps = gathered.intact is not None and condition != INTACT
        return chosen, part, gathered.intact[:, xp.asarray(chosen)] if keeps else None

    @cache  # a list that is shorter than several sizes is the same at all of them
    def confusion(n_used: int, classifier: str) -> np.ndarray:
        _, part, training = expression(n_used)
        predicted = predict(
            part, data.labels, split, scale_on_all=how.scale_on_all, classifier=classifier, device=data.device,
            random_state=how.random_state, training=training,
        )  # fmt: skip
        return confusion_of(data.labels[split.test], predicted, data.n_groups)

    @cache
    def inside(n_used: int) -> dict[str, float]:
        found = {CAPTURED: captured(confusion(n_used, FOREST))} if CAPTURED in how.structure else {}
        if whole is not None:
            chosen, part, training = expression(n_used)
            train, test = to_host(part if training is None else training)[split.train], to_host(part)[split.test]
            found |= kept(train, test, gathered.genes[chosen], split, whole)
        return {name: value for name, value in found.items() if name in how.structure}

    for n, classifier in product(how.n_genes or [len(panel.order)], how.classifiers):
        n_used = min(n, len(panel.order))
        row = {"genes": panel.genes, "split": panel.number, "random": panel.random, "n_genes": n, "n_used": n_used}
        row |= {"classifier": classifier} | vars(condition) | inside(n_used)
        row |= {"n_train": len(split.train), "n_test": len(split.test)}
        yield row, confusion(n_used, classifier)


def _genes_of(panels: list[_Panel]) -> pd.DataFrame:
    own = [panel for panel in panels if not panel.random]
    lengths = [len(panel.order) for panel in own]
    return pd.DataFrame(
        {
            "genes": np.repeat([panel.genes for panel in own], lengths),
            "split": np.repeat([panel.number for panel in own], lengths),
            "rank": np.concatenate([np.arange(1, n + 1) for n in lengths]),
            "gene": np.concatenate([panel.order for panel in own]),
        }
    )
