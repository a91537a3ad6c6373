"""Everything a selection needs to know about the data, as arrays; no AnnData from here on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse

from smash_gpu.compute import ops
from smash_gpu.compute.device import device_room, enough_memory
from smash_gpu.compute.xp import namespace, to_device, to_host
from smash_gpu.data.checks import ValueChecks
from smash_gpu.data.known import Known
from smash_gpu.data.stages import Stage, Work, digest
from smash_gpu.data.stats import GroupStats, Moments, detections, group_stats, moments
from smash_gpu.genes.lists import GeneNames

LEFT_OUT = -1
SHARE_TO_HOLD = 0.25  # of the free memory of the device
BYTES_PER_VALUE = 12  # a value in float64 and its column; more than a dense value needs
CHECKS = "value checks"  # beside the sums of a stage: the values need not be read again to know what they are


@dataclass(frozen=True)
class Dataset:
    """A matrix with annotated cells and named genes.

    Every pass over the matrix is made by a method or by ``known``: the first one also checks the values.

    Attributes
    ----------
    matrix
        Cells × genes, any container that `fold.fold` reads.
    group
        Group code of each cell; −1 leaves the cell out of everything.
    groups
        Names of the groups, in the order of the codes; every group has cells.
    names, symbols
        Unique gene names, and the symbols by which gene families are known.
    target_sum
        Total that counts are scaled to before log1p; None if the matrix is log-normalised.
    device
        "cpu" or "cuda".
    sample, batch
        Sample and batch of each cell, with sorted strings for categories, all of which occur; None if not known.
    work
        Where finished stages are kept.
    known
        What earlier passes have shown; None: nothing.
    ids
        Ensembl ids of the genes, "" where one is missing; None if not known.
    aliases
        Names of genes by their aliases, for messages.
    """

    matrix: Any
    group: np.ndarray
    groups: np.ndarray
    names: np.ndarray
    symbols: np.ndarray
    target_sum: float | None = 1e4
    device: str = "cpu"
    sample: pd.Categorical | None = None
    batch: pd.Categorical | None = None
    work: Work = field(default_factory=Work)
    known: Known = field(default_factory=Known)
    ids: np.ndarray | None = None
    aliases: Mapping[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.known.is_about(self.matrix):
            normalize = False if self.target_sum is None else None
            object.__setattr__(self, "known", Known(normalize).bind(self.matrix))

    @cached_property
    def gene_names(self) -> GeneNames:
        """All that the genes may be called by."""
        return GeneNames(self.names, self.symbols, self.ids, self.aliases)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.groups)

    @cached_property
    def cells(self) -> np.ndarray:
        """Numbers of the cells that belong to a group."""
        return np.flatnonzero(self.group >= 0)

    @property
    def has_batches(self) -> bool:
        """Whether `cells` are of several batches."""
        return self.batch is not None and len(self.batch[self.cells].unique()) > 1

    @cached_property
    def labels(self) -> np.ndarray:
        """Group code of each of `cells`."""
        return self.group[self.cells]

    @cached_property
    def stats(self) -> GroupStats:
        """Sums per group, from one pass over the matrix."""
        return self.stats_by(self.group, self.n_groups)

    def stats_by(self, code: np.ndarray, n_codes: int, name: str = "class statistics") -> GroupStats:
        """Sums per value of any other code of the cells; ``name`` is that of the stage."""
        how: dict[str, Any] = {"target_sum": self.target_sum, "device": self.device}
        named, hashed = how | {"code": code, "n_codes": n_codes}, self.name_of_sums(code, n_codes)

        def compute() -> Mapping[str, Any]:
            found = self.known.sums.get(hashed)
            found = found or group_stats(self.matrix, code, n_codes, **how, fold=self.known.fold)
            assert self.known.checks is not None, "a pass over all cells is behind the sums"
            return vars(found) | {CHECKS: self.known.checks.sums}

        stage = self.work.kept(name, named, compute)
        self.known.judge(ValueChecks(stage.pop(CHECKS)))
        found = GroupStats(**stage)
        self.known.keep(hashed, found)
        return found

    def name_of_sums(self, code: np.ndarray, n_codes: int) -> str:
        """A hash of all that `stats_by` depends on beside the matrix."""
        return digest({"target_sum": self.target_sum, "device": self.device, "code": code, "n_codes": n_codes})

    def moments(
        self, genes: np.ndarray, ceiling: np.ndarray | None = None, *, code: np.ndarray | None = None
    ) -> Moments:
        """First and second moments of the expression of the numbered genes, from one pass.

        Over `cells`, or over those with a ``code`` that is not negative.
        """
        how: dict[str, Any] = {"target_sum": self.target_sum, "device": self.device, "fold": self.known.fold}
        return moments(self.matrix, self.group if code is None else code, genes, ceiling=ceiling, **how)

    def blocks(self, code: np.ndarray | None = None, step: Callable | None = None) -> Iterator[Any]:
        """`fold.stream` over the matrix and a code of the cells, by default their group; without a step on the host."""
        code, device = self.group if code is None else code, "cpu" if step is None else self.device
        return self.known.stream(self.matrix, code, step=step, device=device)

    def kept(self, name: str, parameters: Mapping[str, Any] | None, compute: Callable[[], Mapping[str, Any]]) -> Stage:
        """`Work.kept` for a stage that depends on the groups and the expression, too."""
        if parameters is not None:
            how = {"group": self.group, "target_sum": self.target_sum, "device": self.device}
            parameters = {**parameters, **how}
        return self.work.kept(name, parameters, compute)

    def detections_by(self, code: np.ndarray, n_codes: int, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cells of each value of a code of the cells, and those that express the numbered genes."""

        def compute() -> Stage:
            found = detections(self.matrix, code, n_codes, genes, device=self.device, fold=self.known.fold)
            return dict(zip(("cells", "detected"), found, strict=True))

        stage = self.work.kept("detections per sample", {"code": code, "n_codes": n_codes, "genes": genes}, compute)
        return stage["cells"], stage["detected"]

    def only(self, cells: np.ndarray) -> Self:
        """The same matrix with all but the numbered cells left out, and the remaining groups renumbered."""
        group = np.full_like(self.group, LEFT_OUT)
        present, codes = np.unique(self.group[cells], return_inverse=True)
        group[cells] = codes
        return replace(self, group=group, groups=self.groups[present])

    def held(self) -> Self:
        """The same data for several selections: on the device, if they are computed there and the matrix fits.

        A matrix in a file or a Dask array stays where it is.
        """
        X: Any = self.matrix
        if self.device != "cuda" or not isinstance(X, np.ndarray | sparse.csr_matrix | sparse.csr_array):
            return self
        n_values = X.nnz if hasattr(X, "nnz") else X.size
        fits = BYTES_PER_VALUE * n_values <= SHARE_TO_HOLD * device_room()
        return replace(self, matrix=to_device(X)) if fits else self

    def expression(self, genes: np.ndarray, *, order: np.ndarray | None = None, into: Any = None) -> Any:
        """Expression ``e`` of the numbered genes in `cells`; cells × genes, dense float32.

        Parameters
        ----------
        order
            Which of `cells` each row is; None: row i is the i-th.
        into
            A matrix on the host or in a file to write to; None: a new one in the memory of ``device``.

        Raises
        ------
        MemoryError
            If it does not fit into the memory of ``device``.
        """
        shape = len(self.cells), len(genes)
        way_out = "Narrow the candidates (filters, inverse_pca), pass fewer cells, or use device='cpu'."
        with enough_memory(f"{shape[0]:,} cells × {shape[1]:,} genes", way_out, 4 * shape[0] * shape[1]):
            row = np.arange(shape[0]) if order is None else np.argsort(order)
            dense, end = into, 0
            gather = partial(_gather, genes=genes, target_sum=self.target_sum)
            for part in self.blocks(step=gather):
                dense = namespace(part).empty(shape, dtype=part.dtype) if dense is None else dense
                part = part if into is None else to_host(part)
                dense[namespace(dense).asarray(row[end : end + len(part)])] = part
                end += len(part)
            return dense

    def host_expression(self, genes: np.ndarray) -> np.ndarray:
        """`expression` in host memory."""
        return to_host(self.expression(genes))


def _gather(block: Any, group: np.ndarray, *, genes: np.ndarray, target_sum: float | None) -> Any:
    return ops.gather_dense(ops.labelled(block, group), genes, target_sum)
