"""The results that a report describes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.data.dataset import Dataset
from smash_gpu.evaluation.summary import is_intact


def changed(adata: AnnData, made: dict[str, tuple[str, str]]) -> list[str]:
    """What has changed since these results, each a key and a name of `slots.MAKE_AGAIN`, were made, in words."""
    since = {what: slots.changes(adata, *result) for what, result in made.items()}
    return [f"{what} ({change} since)" for what, change in since.items() if change]


@dataclass(frozen=True)
class Results:
    """Annotated data with results in their slots.

    Attributes
    ----------
    adata
        After `tl.smash`, and after `tl.evaluate` for the chapter on evaluation.
    key
        Name of the slots.
    figures
        Whether to draw.
    umap
        Whether to draw the cells, too.
    """

    adata: AnnData
    key: str = slots.KEY
    figures: bool = True
    umap: bool = False

    @cached_property
    def source(self) -> dict[str, Any]:
        """Options with which the selection read the data."""
        return slots.source(self.adata, self.key)

    @cached_property
    def data(self) -> Dataset:
        """The data that the selection read."""
        return read(self.adata, self.source)

    @cached_property
    def groups(self) -> list[str]:
        """Groups that have markers, in the order of the columns of ``.varm``."""
        return [str(group) for group in slots.require(self.adata, "groups", self.key, "tl.smash")]

    @cached_property
    def markers(self) -> pd.DataFrame:
        """The table of markers."""
        return get.markers(self.adata, key=self.key)

    @property
    def changed(self) -> list[str]:
        """What is no longer of these cells, genes and labels, and what has changed since it was made."""
        made = {"markers": (self.key, slots.MARKERS), "evaluation": (self.key, slots.EVALUATION)}
        made["stability"] = (self.key, "stability")
        made["designed panel"] = (slots.PANEL, slots.DESIGN)
        return changed(self.adata, made)

    @property
    def is_evaluated(self) -> bool:
        """Whether `tl.evaluate` has run."""
        return "evaluation" in self.adata.uns.get(self.key, {})

    def recorded(self, step: str) -> dict[str, Any]:
        """The options of a step."""
        return slots.recorded(self.adata, self.key, step)

    @property
    def chosen_inside(self) -> tuple[str, ...]:
        """Names of the lists that the evaluation selected again inside each split."""
        return self.recorded("evaluation").get("inside_splits", ())

    @property
    def repeated(self) -> str | None:
        """Name of the list that is the selection of this page, repeated inside each split; None if there is none."""
        how = self.recorded("evaluation")
        others = (*how.get("by_function", ()), *how.get("by_wilcoxon", ()))
        return next((name for name in self.chosen_inside if name not in others), None)

    @property
    def featured(self) -> str:
        """Name of the list whose results are shown in full: the selection of this page, else the first list."""
        return self.repeated or str(self.cases["genes"].iloc[0])

    @cached_property
    def cases(self) -> pd.DataFrame:
        """All cases of the evaluation; see `get.comparison`."""
        return get.comparison(self.adata, key=self.key)

    @cached_property
    def main(self) -> pd.DataFrame:
        """Metrics of the largest panel of each list and of its random panels: intact cells, first classifier."""
        table = self.cases
        kept = table["classifier"] == table["classifier"].iloc[0]
        kept &= is_intact(table)
        table = table[kept]
        return table[table["n_genes"] == table.groupby("genes", sort=False)["n_genes"].transform("max")]
