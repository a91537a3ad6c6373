"""Which held-out cells can be judged: a group that no training cell has cannot be predicted, with any genes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import Split
from smash_gpu.runtime.words import join_names


def judged(labels: np.ndarray, split: Split) -> Split:
    """The split without the held-out cells whose group has no training cell."""
    return Split(split.train, split.test[np.isin(labels[split.test], labels[split.train])])


def with_judged_cells(labels: np.ndarray, splits: Sequence[Split]) -> list[Split]:
    """`judged` of every split; a split without any cell to judge is left out.

    Raises
    ------
    ValueError
        If none is left.
    """
    kept = [part for split in splits if len((part := judged(labels, split)).test)]
    if not kept:
        raise ValueError(
            "no class can be judged: all cells of each are held out together, so that none is left to learn from. "
            "Leave sample_key out to split by cells."
        )
    return kept


def not_judged(data: Dataset, splits: Sequence[Split], sample: str | None) -> list[str]:
    """The groups that are not judged in all splits that hold them out, and why; one sentence per reason.

    Parameters
    ----------
    sample
        What a sample is called: the name of its column.
    """
    out, left = (np.zeros((len(splits), data.n_groups), dtype=bool) for _ in range(2))
    for number, split in enumerate(splits):
        out[number, data.labels[split.test]] = True
        left[number, data.labels[judged(data.labels, split).test]] = True
    missed, groups_by_reason = (out & ~left).sum(axis=0), dict[str, list[str]]()
    for code in np.flatnonzero(missed):
        reason = (
            f"in {missed[code]} of {out[:, code].sum()} splits all cells are held out" if left[:, code].any()
            else _of_samples(data, int(code), sample)
        )  # fmt: skip
        groups_by_reason.setdefault(reason, []).append(str(data.groups[code]))
    return [f"{join_names(groups)}: {reason}" for reason, groups in groups_by_reason.items()]


def _of_samples(data: Dataset, code: int, sample: str | None) -> str:
    if data.sample is None:
        return "all cells are held out together"
    names = sorted(map(str, data.sample[data.group == code].unique()))
    together = ", which are held out together" if len(names) > 1 else ""
    return f"all cells are of {sample or 'sample'} {join_names(names)}{together}"
