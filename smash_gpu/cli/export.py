"""Write a designed panel as a vendor takes it."""

from __future__ import annotations

import argparse
from pathlib import Path

from smash_gpu.cli import arguments
from smash_gpu.cli.inputs import existing_file, gene_list, writable
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.saved import RESULT
from smash_gpu.cli.typed import PARAMS, taken_over

PURPOSE = "write a designed panel in the form of a vendor"
OUT = None
FORMATS = {
    "xenium": "xenium",
    "merscope": "merscope",
    "cosmx": "cosmx",
    "json": "gene_panel_json",
    "sheet": "design_sheet",
}
WITH_PROBE_SETS = ("xenium", "json", "sheet")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu export``."""
    add = command.add_argument
    add(
        "result",
        type=Path,
        metavar="RESULT",
        help="folder of `smash-gpu panel --out`, its panel.h5ad, or data that hold a panel",
    )
    add("--format", choices=tuple(FORMATS), required=True, help="whose form; json: as Xenium's gene_panel.json")
    add("--out", type=Path, metavar="FILE", required=True, help="file to write; of a sheet .csv or .xlsx")
    arguments.add_ids(command)
    add("--probe-sets-key", metavar="COLUMN", help="column of var with numbers of probe sets (xenium, json, sheet)")
    add("--forced", type=Path, metavar="FILE", help=f"genes that xenium forces, {arguments.GENES}")


def run(options: argparse.Namespace) -> Result:
    """Write one file."""
    from smash_gpu import export, get, read

    if (options.result / PARAMS).is_file():  # a zarr store is a folder, too
        options = taken_over(options, options.result)
        options.result /= RESULT
    writable(options.out.absolute().parent)
    asked = {"ensembl_key": options.ensembl_key, "ensembl_table": existing_file(options.ensembl_table)}
    if options.probe_sets_key is not None:
        if options.format not in WITH_PROBE_SETS:
            raise ValueError(f"--format {options.format} has no probe sets; omit --probe-sets-key.")
        asked["probe_sets_key"] = options.probe_sets_key
    if options.forced is not None:
        if options.format != "xenium":
            raise ValueError(f"--format {options.format} has no forced genes; omit --forced.")
        asked["forced"] = gene_list(options.forced)
    adata = read(options.result)
    getattr(export, FORMATS[options.format])(adata, options.out, **asked)
    genes = get.panel(adata)
    print(f"{options.out}: {len(genes)} genes in the form of {options.format}")
    return Result({"written": [options.out], "format": options.format, "genes": genes})
