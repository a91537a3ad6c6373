"""Select genes again on halves of the cells."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from smash_gpu.cli import arguments, design
from smash_gpu.cli.evaluate import selection
from smash_gpu.cli.find import select
from smash_gpu.cli.inputs import gene_columns, kept_in, named, open_data, require_samples, save_params, writable
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.model_names import PANEL
from smash_gpu.cli.tune import use_tuned
from smash_gpu.evaluation.judging import Resampling
from smash_gpu.selection.options import PANEL_GENES, Ranking

PURPOSE = "select genes again on halves of the cells or samples: how often each is chosen"
SHOWN = 20
OF_FIND = {"n_top": Ranking.n_top, "unique": Ranking.unique, "within": None}  # of the markers, not of the panel

OF_SELECTION = (
    "tuned", "exclude", "keep", "paper", "inverse_pca", "max_cells", "n_models", "positive_only",
    "min_log2_fold_change", "min_fraction_difference", "near_highest", "work",
)  # fmt: skip


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu stability``."""
    arguments.add_source(command)
    add = command.add_argument
    add("--batch-key", metavar="COLUMN", help="column of obs with batches, corrected by Harmony")
    add("--n-genes", type=int, default=PANEL_GENES, help="number of genes to choose on each half")
    arguments.add_resamples(command, Resampling.n_resamples, "number of halves; even, they come in pairs")
    what = "substitutes to list for each gene"
    add("--n-substitutes", type=int, default=Resampling.n_substitutes, metavar="N", help=what)
    add("--panel", action="store_true", help="repeat the design of smash-gpu panel, not the selection by a model")
    arguments.add_candidates(command, several=True)
    design.add_arguments(command, asked_by="--panel", species=False)
    arguments.add_tuned(command)
    arguments.add_effects(command)
    arguments.add_work(command)
    command.set_defaults(**OF_FIND, of_selection={name: command.get_default(name) for name in OF_SELECTION})


def run(options: argparse.Namespace) -> Result:
    """Select on all cells and on halves; print how much two halves share, and write the tables to ``--out``."""
    from smash_gpu import get, tl

    out = writable(options.out)
    Resampling(options.n_resamples, options.n_substitutes)
    if options.n_genes < 1:
        raise ValueError(f"--n-genes {options.n_genes} is too low; a panel needs at least one gene.")
    _check_selection_options(options)
    design.require_asked(options, is_asked=options.panel)
    adata, source = open_data(options)
    gene_columns(adata, options)
    design.require_room(adata, [options.n_genes], options)
    require_samples(adata, options.sample_key)
    source["batch_key"] = options.batch_key
    print(f"{named(options)}: {adata.n_obs:,} cells × {adata.n_vars:,} genes", flush=True)
    choose = None
    if options.panel:
        choose = selection(PANEL, options, source)
    else:
        use_tuned(adata, options)
        select(adata, options, work=kept_in(options), **source)
    same = ("n_genes", "n_resamples", "n_substitutes", "random_state")
    tl.stability(
        adata, options.groupby, choose=choose, **{name: getattr(options, name) for name in same}, **source
    )  # fmt: skip
    tables = {
        "stability": get.stability(adata),
        "overlap": get.panel_overlap(adata).rename_axis("measure").reset_index(),
        "substitutes": get.substitutes(adata),
    }
    _show(tables, options)
    return Result(tables | {"written": [] if out is None else _write(adata, out, tables)})


def _check_selection_options(options: argparse.Namespace) -> None:
    """Raise a ValueError for options of the selection by a model beside ``--panel``."""
    given = [name for name, default in options.of_selection.items() if getattr(options, name) != default]
    if options.panel and (given or getattr(options, "model_is_given", False)):
        option = f"--{given[0].replace('_', '-')}" if given else "--model"
        raise ValueError(f"--panel repeats the design of smash-gpu panel, which has no {option}; omit one of the two.")


def _show(tables: dict[str, Any], options: argparse.Namespace) -> None:
    overlap, found = tables["overlap"].set_index("measure"), tables["stability"]
    shared, chance = overlap.loc["shared"], overlap.loc["shared_by_chance", "mean"]
    of = "cells" if options.sample_key is None else "samples"
    print(
        f"\nPanels from two halves of the {of} share {shared['mean']:.1f} of {options.n_genes} genes (mean; "
        f"{shared['min']:.0f} to {shared['max']:.0f}); random panels would share {chance:.1f}."
    )
    print(f"\n{len(found)} genes were chosen" + (f"; the {SHOWN} most frequent:" if len(found) > SHOWN else ":"))
    print(found.head(SHOWN).to_string(index=False, float_format="{:.2f}".format))
    print(f"\nrank: in the panel from all cells, 0: not in it; frequency: share of {options.n_resamples} halves;")
    print(f"rank_median, rank_low, rank_high: over the halves, {options.n_genes + 1}: not chosen.")


def _write(adata: Any, out: Path, tables: dict[str, Any]) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(out / f"{name}.csv", index=False)
    save_params(adata, out)
    written = [*(f"{name}.csv" for name in tables), "params.json"]
    print(f"Written to {out}: {' '.join(written)}")
    return [out / name for name in written]
