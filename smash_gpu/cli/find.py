"""Find markers in a file."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from smash_gpu.cli import arguments
from smash_gpu.cli.inputs import filters_of, kept_in, named, open_data, paper_of, save, save_params, writable
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.tune import best_options, use_tuned

PURPOSE = "find markers in a file"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu find``."""
    arguments.add_source(command)
    command.add_argument("--batch-key", metavar="COLUMN", help="column of obs with batches, corrected by Harmony")
    arguments.add_selection(command)
    arguments.add_work(command)


def run(options: argparse.Namespace) -> Result:
    """Find markers in a file."""
    out = writable(options.out)
    adata, source = open_data(options)
    use_tuned(adata, options)
    print(f"{named(options)}: {adata.n_obs:,} cells × {adata.n_vars:,} genes")
    _print_plan(adata, options)
    return Result(find(adata, options, out, batch_key=options.batch_key, work=kept_in(options), **source))


def _print_plan(adata: Any, options: argparse.Namespace) -> None:
    """Print what will be read and how much memory is needed, for data that stay on disk."""
    from smash_gpu.compute.device import resolve_device
    from smash_gpu.io import matrices
    from smash_gpu.io.lazy import matrix_of
    from smash_gpu.selection import plan

    if options.groupby not in adata.obs or options.layer not in (None, *adata.layers):
        return  # the first step reports this
    matrix = matrix_of(adata, options.layer)
    if matrices.stored_bytes(matrix) is None:
        return
    tuned = best_options(adata, options.model) if options.tuned else None
    planned = plan.plan(
        matrix,
        adata.obs[options.groupby].nunique(),
        model=options.model,
        model_options=tuned or paper_of(options).get("model_options"),
        n_models=options.n_models,
        max_cells=options.max_cells,
        inverse_pca=paper_of(options).get("inverse_pca", options.inverse_pca),
        samples=options.sample_key is not None,
        batches=options.batch_key is not None,
        device=resolve_device(options.device),
    )
    print("\n".join(planned.lines), flush=True)
    if options.within is not None:
        print(f"These passes are repeated for every class of {options.within!r}.")


def find(adata: Any, options: argparse.Namespace, out: Path | None, **source: Any) -> dict[str, Any]:
    """Select, print the tables, write them to ``out``, and return them."""
    from smash_gpu import get
    from smash_gpu.annotated import slots
    from smash_gpu.selection import accuracy, several

    if options.n_genes < 1:
        raise ValueError(f"--n-genes {options.n_genes} is too low; a panel needs at least one gene.")
    select(adata, options, **source)
    print("\nGenes removed by each rule:")
    print(adata.uns["smash"]["filters"].to_string(index=False))
    found = adata.uns["smash"]
    print(
        "\n"
        + accuracy.in_words(
            several.names_of(options.model), found["accuracy"], found["group_accuracy"], found["groups"]
        )
    )
    print("\nMarkers (− means lower in the class than in other cells):")
    markers = get.markers(adata)
    if not len(markers):
        raise ValueError(
            "no gene is a marker of any class; relax the sample rule (--sample-key) or omit --positive-only."
        )
    print(_marker_lines(markers) + "\n")
    if "agreement" in markers:
        agreed = (markers["agreement"] == 1).sum()
        print(f"All models agree on {agreed} of {len(markers)} markers: {options.n_top} or fewer per class by each.\n")
    panel = get.marker_panel(adata, min(options.n_genes, slots.n_scored(adata, slots.KEY)))
    written = [] if out is None else _write(adata, options, out, panel)
    names = get.markers_dict(adata)
    return {"markers": markers, "by_group": names, "panel": panel, "filters": found["filters"], "written": written}


def select(adata: Any, options: argparse.Namespace, **source: Any) -> None:
    """`tl.smash` with the options of a command."""
    from smash_gpu import tl
    from smash_gpu.selection.options import ANY_EFFECT

    paper = paper_of(options)
    tl.smash(
        adata,
        options.groupby,
        model=options.model,
        n_top=options.n_top,
        within=options.within,
        unique=options.unique,
        positive_only=options.positive_only,
        **{name: paper.get(name, getattr(options, name)) for name in ANY_EFFECT},
        n_models=options.n_models,
        max_cells=options.max_cells,
        random_state=options.random_state,
        filters=filters_of(options),
        model_options="tuned" if options.tuned else paper.get("model_options"),
        inverse_pca=paper.get("inverse_pca", options.inverse_pca),
        **source,
    )


def _marker_lines(table: Any) -> str:
    names = table["name"] + table["direction"].map({"up": "", "down": "−"})
    lines = names.groupby(table["group"], observed=True, sort=False).agg(", ".join)
    width = max(len(str(group)) for group in lines.index)
    return "\n".join(f"  {group!s:<{width}}  {genes}" for group, genes in lines.items())


def _write(adata: Any, options: argparse.Namespace, out: Path, panel: list[str]) -> list[Path]:
    from smash_gpu import get, pl

    out.mkdir(parents=True, exist_ok=True)
    get.markers(adata).to_csv(out / "markers.csv", index=False)
    adata.uns["smash"]["filters"].to_csv(out / "filters.csv", index=False)
    with (out / "marker_panel.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("rank", "name"), *enumerate(panel, start=1)])
    save_params(adata, out)
    figures = [] if options.no_figures else ["markers.png"]
    for name in figures:
        save(pl.markers(adata), out / name)
    written = ("markers.csv", f"marker_panel.csv ({len(panel)} genes)", "filters.csv", "params.json", *figures)
    print(f"Written to {out}: {', '.join(written)}\n")
    return [out / name.partition(" ")[0] for name in written]
