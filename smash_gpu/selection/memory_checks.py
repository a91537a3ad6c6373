"""Whether there is enough memory for what cannot be in a file, before anything is read."""

from __future__ import annotations

from smash_gpu import models
from smash_gpu.runtime import memory
from smash_gpu.selection.harmony import N_COMPONENTS

BYTES_PER_COMPONENT = 42  # per cell, measured: Harmony with its copies and clusters, in float64


def need_memory_for_components(n_cells: int, n_genes: int) -> None:
    """Raise a MemoryError if Harmony's components do not fit in host memory."""
    needed, room = BYTES_PER_COMPONENT * n_cells * min(n_genes, N_COMPONENTS), _room_for_all()
    if needed > room:
        raise MemoryError(
            f"not enough memory for Harmony with {min(n_genes, N_COMPONENTS)} components: {n_cells:,} cells "
            f"need {needed / 1e9:,.2f} GB, but only {room / 1e9:,.2f} GB may be used. Pass a smaller max_cells=, omit "
            "batch_key, or pass a larger memory=."
        )


def need_memory_for_all(n_cells: int, n_genes: int, bytes_per_value: float) -> None:
    """Raise a MemoryError if a model that needs all cells at once does not fit in host memory."""
    needed, room = bytes_per_value * n_cells * n_genes, _room_for_all()
    if needed > room:
        from_a_file = " or ".join(repr(name) for name in models.MODELS if models.facts_of(name).reads_parts)
        raise MemoryError(
            f"not enough memory for this model, which needs all cells at once: {n_cells:,} cells × {n_genes:,} genes "
            f"need {needed / 1e9:,.2f} GB, but only {room / 1e9:,.2f} GB may be used. Pass a smaller max_cells=, fewer "
            f"candidates, model={from_a_file}, which can read from a file, or a larger memory=."
        )


def _room_for_all() -> int:
    """Bytes for data that cannot be in a file: all free memory, if the user sets no limit."""
    return memory.room() if memory.is_limited() else memory.available()
