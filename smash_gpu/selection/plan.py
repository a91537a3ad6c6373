"""What a selection will read, and how much memory it will need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smash_gpu import models
from smash_gpu.blocks import sizes as block_sizes
from smash_gpu.blocks.prefetch import BLOCKS_AHEAD
from smash_gpu.io import matrices
from smash_gpu.io.matrices import stored_bytes, unpacked_bytes
from smash_gpu.runtime import memory
from smash_gpu.selection import several
from smash_gpu.selection.options import Recipe

GB = 1e9
TABLES = 10  # of groups × genes, 8 bytes per value: five sums of one block and of all blocks
KILO = 1000


@dataclass(frozen=True)
class Plan:
    """The passes over a matrix, cells × genes.

    Attributes
    ----------
    passes
        The purpose of each pass.
    stored, unpacked
        Bytes that a pass reads from disk, and bytes of the values and column numbers after decompression; ``stored`` is
        None if the matrix is in memory.
    cells_per_block, bytes_per_block
        Cells computed at a time, and the memory for them and for the prefetched blocks.
    training_cells
        Number of training and held-out cells of a model; of several models, of the one that needs the most memory.
    bytes_per_candidate, bytes_extra
        Memory for these cells per candidate gene, and additional memory of the model; ``on_disk``: whether the first
        may be in files.
    taken, room
        Bytes of memory that the process uses, and that it may still allocate.
    """

    shape: tuple[int, int]
    passes: tuple[str, ...]
    stored: int | None
    unpacked: int
    cells_per_block: int
    bytes_per_block: int
    bytes_of_tables: int
    training_cells: int
    bytes_per_candidate: int
    bytes_extra: int
    on_disk: bool
    taken: int
    room: int

    @property
    def lines(self) -> list[str]:
        """The plan in words."""
        cells, genes = self.shape
        training = KILO * self.bytes_per_candidate
        where = "on disk if that does not fit" if self.on_disk else "all in memory"
        extra = f", plus {self.bytes_extra / GB:,.2f} GB of memory" if self.bytes_extra else ""
        reading = self.taken + self.bytes_per_block + self.bytes_of_tables
        read = f"{self.unpacked / GB:,.2f} GB in memory"
        if self.stored is not None:
            read = f"{self.stored / GB:,.2f} GB ({self.unpacked / GB:,.2f} GB unpacked)"
        return [
            f"Plan: {len(self.passes)} passes over {cells:,} cells × {genes:,} genes, each reading "
            f"{read} in blocks of {self.cells_per_block:,} cells: {'; '.join(self.passes)}.",
            f"Memory: {self.taken / GB:,.2f} GB now, about {reading / GB:,.2f} GB while reading; training on "
            f"{self.training_cells:,} cells needs {training / GB:,.2f} GB per {KILO:,} candidate genes, "
            f"{where}{extra}. The limit is {(self.taken + self.room) / GB:,.2f} GB.",
        ]


def plan(
    matrix: Any,
    n_groups: int,
    *,
    model: several.Models = models.DEFAULT,
    model_options: Mapping[str, Any] | None = None,
    n_models: int = 1,
    max_cells: int | None = None,
    inverse_pca: bool = bool(Recipe.inverse_pca),
    samples: bool = False,
    batches: bool = False,
    device: str = "cpu",
) -> Plan:
    """The plan of one selection; options as in `smash_gpu.tl.smash`.

    Parameters
    ----------
    matrix
        Cells × genes, in any form that `fold.fold` reads.
    samples
        Whether the sample rule is used.
    batches
        Whether expression is corrected for batches.
    """
    trainings = [_training(matrix, one, how, max_cells) for one, how in several.each(model, model_options or {})]
    passes = ["sums per class, and a check of all values"]
    passes += ["covariance of the candidates"] * inverse_pca
    for training, _ in trainings:
        of_a_model = [f"candidates of {training:,} cells to train on"]
        of_a_model += ["covariance of the candidates, for the batches"] * batches
        passes += of_a_model * (n_models if training < matrix.shape[0] else 1)
    passes += ["detections per sample"] * samples
    values = matrices.values_per_cell(matrix)
    size = min(block_sizes.cells_per_block(matrix, device), matrix.shape[0])
    per_value = block_sizes.BYTES_PER_VALUE_AHEAD * (BLOCKS_AHEAD + 1) + block_sizes.BYTES_PER_VALUE
    training, facts = max(trainings, key=lambda one: (not one[1].reads_parts, one[0] * one[1].bytes_per_value))
    return Plan(
        shape=matrix.shape,
        passes=tuple(passes),
        stored=stored_bytes(matrix),
        unpacked=unpacked_bytes(matrix),
        cells_per_block=size,
        bytes_per_block=int(size * values * per_value),
        bytes_of_tables=TABLES * 8 * n_groups * matrix.shape[1],
        training_cells=training,
        bytes_per_candidate=int(training * facts.bytes_per_value),
        bytes_extra=int(facts.bytes_at_least + training * n_groups * facts.bytes_per_class),
        on_disk=facts.reads_parts,
        taken=memory.taken(),
        room=memory.room(),
    )


def _training(
    matrix: Any, model: several.One, options: Mapping[str, Any], max_cells: int | None
) -> tuple[int, models.Facts]:
    """How many cells a model is given, and its facts."""
    return int(min(matrix.shape[0], models.cells_to_learn_from(model, max_cells))), models.facts_of(model, options)
