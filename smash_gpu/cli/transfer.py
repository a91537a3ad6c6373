"""Choose and learn on a reference, label the cells of a tissue."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from smash_gpu.cli import arguments, design
from smash_gpu.cli.evaluate import lists_of, selections
from smash_gpu.cli.inputs import gene_columns, named, open_data, save, save_params, writable
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.model_names import PANEL
from smash_gpu.evaluation.judging import Transferring
from smash_gpu.runtime.paths import require_file, require_path

PURPOSE = "learn classes on a reference, name the cells of a tissue by gene lists"
TABLES = ("metrics", "cases", "panels")
OF_EACH_LIST = ("groups", "confusion")
PRINTED = ("genes", "n_genes", "classifier", "balanced_accuracy", "random", "ceiling", "relative")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu transfer``."""
    add = command.add_argument
    add("tissue", type=Path, metavar="TISSUE", help="h5ad file or zarr store of cells measured in tissue")
    arguments.add_source(command, data="--reference", samples=False)
    arguments.add_lists(command)
    add("--mapping", type=Path, metavar="JSON", help="object from labels of the reference to common classes")
    add("--tissue-groupby", metavar="COLUMN", help="column of obs of the tissue with its labels; default: --groupby")
    add("--tissue-mapping", type=Path, metavar="JSON", help="object from labels of the tissue to common classes")
    add("--tissue-layer", metavar="LAYER", help="layer of the tissue to read instead of X")
    add("--tissue-use-raw", action="store_true", help="read .raw of the tissue instead of X")
    values = command.add_mutually_exclusive_group()
    for name, holds, what in (
        ("--tissue-normalized", False, "the values of the tissue are taken as they are: they are log-normalised"),
        ("--tissue-counts", True, "they are counts or values by volume, though none is above 20"),
    ):
        values.add_argument(name, dest="tissue_normalize", action="store_const", const=holds, help=what)
    add("--tissue-gene-symbols", metavar="COLUMN", help="column of var of the tissue with gene symbols")
    arguments.add_classifiers(command, Transferring.classifiers)
    arguments.add_random(command, Transferring.n_random)
    design.add_arguments(command, asked_by="--select panel")
    add("--basis", default="spatial", metavar="NAME", help="coordinates in obsm of the tissue, for the maps")
    add("--no-figures", action="store_true", help="tables only")


def run(options: argparse.Namespace) -> Result:
    """Print where every list lies between random panels and all measured genes, and write tables and maps."""
    from smash_gpu import get, tl
    from smash_gpu.io import concat

    out = writable(options.out)
    if not options.genes and not options.select:
        raise ValueError("there is nothing to judge; pass gene lists with --genes, models with --select, or both.")
    design.require_asked(options, is_asked=PANEL in options.select)
    require_path(options.tissue)
    lists: dict[str, Any] = dict(lists_of(options.genes))
    reference, source = open_data(options)
    gene_columns(reference, options)
    design.require_room(reference, options.n_genes, options)
    tissue = concat.open_cells([options.tissue], {"groupby": [options.tissue_groupby or options.groupby]})
    lists |= selections(options, source)
    same = ("n_genes", "tissue_groupby", "missing", "classifier", "n_random", "random_state", "tissue_layer",
            "tissue_use_raw", "tissue_normalize", "tissue_gene_symbols")  # fmt: skip
    tl.transfer(
        reference, tissue, options.groupby, genes=lists, mapping=_mapping(options.mapping, "--mapping"),
        tissue_mapping=_mapping(options.tissue_mapping, "--tissue-mapping"),
        **{name: getattr(options, name) for name in same}, **source,
    )  # fmt: skip
    metrics = get.transfer(tissue)
    print(f"{options.tissue}: {tissue.n_obs:,} cells, by the classes of {named(options)}\n")
    print(metrics[list(PRINTED)].round(3).to_string(index=False))
    print("\nrandom: mean balanced accuracy of random panels; ceiling: that of all measured genes; relative: 0 at the")
    print("first, 1 at the second.")
    tables = {name: get.transfer(tissue, name) for name in TABLES}
    return Result(tables | {"written": [] if out is None else _write(tissue, out, tables, options)})


def _mapping(path: Path | None, option: str) -> dict[str, str] | None:
    if path is None:
        return None
    require_file(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as wrong:
        raise ValueError(f"{option}: {path} is not JSON ({wrong}).") from None
    if not isinstance(found, dict):
        raise ValueError(f'{option}: {path} must hold one object such as {{"Oligo_Mature": "oligodendrocyte"}}.')
    return {label: str(name) for label, name in found.items()}


def _write(tissue: Any, out: Path, tables: dict[str, Any], options: argparse.Namespace) -> list[Path]:
    from smash_gpu import get, pl, report
    from smash_gpu.annotated import slots

    out.mkdir(parents=True, exist_ok=True)
    first = tables["metrics"]["genes"].iloc[0]
    found = tables | {name: get.transfer(tissue, name) for name in OF_EACH_LIST}
    written = [out / f"{name}.csv" for name in found] + [out / "cells.csv", out / "params.json"]
    for name, table in found.items():
        table.to_csv(out / f"{name}.csv", index=name == "confusion")
    get.transfer(tissue, "cells").to_csv(out / "cells.csv")
    save_params(tissue, out, slots.TRANSFER)
    written.append(out / "transfer.html")
    report.write_transfer(tissue, written[-1], figures=not options.no_figures, basis=options.basis)
    if not options.no_figures and options.basis in tissue.obsm:
        for color in ("predicted", "true", "error"):
            written.append(out / f"map_{color}.png")
            save(pl.transfer_map(tissue, color, basis=options.basis), written[-1])
    print(f"Written to {out}: {' '.join(path.name for path in written)} (confusion, groups, cells and maps: {first})")
    return written
