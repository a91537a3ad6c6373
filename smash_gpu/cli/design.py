"""The panel design that other commands repeat: its printed panel and its limits."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from smash_gpu.cli import arguments
from smash_gpu.cli.inputs import gene_list, ranges
from smash_gpu.genes.lists import IGNORE
from smash_gpu.selection.options import PANEL_GENES

LIMITS = ("exclude_families", "species", "mean_counts", "max_counts", "max_transcripts", "probe_sets", "length_key",
          "platform")  # fmt: skip
OF_PANEL = (*LIMITS, "limit", "extend", "gene_table", "transcript_lengths")


def add_arguments(command: argparse.ArgumentParser, *, asked_by: str, species: bool = True) -> None:
    """The printed panel and the limits; ``asked_by`` is the option that asks for the panel design.

    Without ``species`` the command has that option already, for other purposes.
    """
    arguments.add_printed(command, f"with {asked_by}: printed panel to add to, whose genes come first")
    arguments.add_limits(command, species=species)
    names = [name for name in OF_PANEL if species or name != "species"]
    command.set_defaults(unasked={name: command.get_default(name) for name in names}, design_asked_by=asked_by)


def require_asked(options: argparse.Namespace, *, is_asked: bool) -> None:
    """Refuse the options of the panel design where it is not asked for."""
    given = [name for name, default in options.unasked.items() if getattr(options, name) != default]
    if given and not is_asked:
        option = f"--{given[0].replace('_', '-')}"
        raise ValueError(f"{option} is for the panel design; add {options.design_asked_by}, or omit {option}.")


def require_room(cells: Any, sizes: list[int] | None, options: argparse.Namespace) -> None:
    """Raise a ValueError if a size leaves no room beside the printed panel."""
    n_printed = _n_printed(cells, options) if options.extend is not None else 0
    if n_printed and min(sizes or [PANEL_GENES]) <= n_printed:
        raise ValueError(
            f"--n-genes counts the {n_printed} genes of the printed panel that the data hold; ask for more."
        )


def _n_printed(cells: Any, options: argparse.Namespace) -> int:
    from smash_gpu.annotated.features import gene_names

    names = gene_names(cells, options.gene_symbols)
    return len(names.numbers(gene_list(options.extend), "--extend", missing=IGNORE))


def designed(cells: Any, n_genes: int, options: argparse.Namespace, source: Mapping[str, Any]) -> list[str]:
    """The genes of the printed panel in the data, and those that a nested `tl.panel` adds; ``n_genes`` in all."""
    from smash_gpu import get, tl

    tl.panel(
        cells, options.groupby, n_genes=n_genes - _n_printed(cells, options), nested=True,
        extend=gene_list(options.extend), limits=ranges(options.limit),
        **{name: getattr(options, name) for name in LIMITS}, **source,
    )  # fmt: skip
    slide = get.panel_table(cells, "slide")
    return slide.loc[slide["in_data"], "name"].astype(str).tolist()
