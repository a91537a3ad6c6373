"""Check a list of genes before it is ordered."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from smash_gpu.cli import arguments
from smash_gpu.cli.exit_codes import ExitCode
from smash_gpu.cli.inputs import existing_file, gene_columns, named, open_data, ranges, writable
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.typed import taken_over
from smash_gpu.cli.wording import table_in_options
from smash_gpu.genes.lists import POLICIES
from smash_gpu.runtime.paths import require_file

PURPOSE = "check a list of genes before it is ordered; exit code 0: no check fails, 1: one does"
OUT = None
SENTENCES = {"checks": "detail", "platform": "used"}  # by table
ORDERED = "xenium.csv"  # of the folder of a panel: the list that is sent
SHOWN = 200  # characters of the genes of one check


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu validate``."""
    add = command.add_argument
    what = f"the list: {arguments.GENES}; or the folder of `smash-gpu panel --out`: its {ORDERED}, with its options"
    add("list", type=Path, metavar="LIST", help=what)
    arguments.add_source(command, several=True, labels=False, data="--reference", samples=False, needed=False)
    arguments.add_printed(command, "printed panel that the list is added to")
    add(
        "--unavailable",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="genes without probes, as vendors publish them",
    )
    add("--missing", choices=POLICIES, default="raise", help="genes that the data lack: raise, a failure; warn, a note")
    arguments.add_limits(command)
    arguments.add_ids(command)
    add("--out", type=Path, metavar="FILE", help="HTML page to write")
    add("--title", help="heading of the page; default: the name of the list")
    add("--no-figures", action="store_true", help="a page without figures")


def run(options: argparse.Namespace) -> Result:
    """Print all checks, write the page; the exit code says whether one failed."""
    from smash_gpu import get, tl
    from smash_gpu.get._validation import TABLES

    if options.list.is_dir():
        options = taken_over(options, options.list)
        options.list /= ORDERED
    require_file(options.list)
    for name, option, but in (
        ("data", "--reference", ""), ("groupby", "--groupby", ", unless its panel was designed without classes")
    ):  # fmt: skip
        if not getattr(options, name):
            raise ValueError(f"{option} is missing; only the folder of smash-gpu panel --out says which it is{but}.")
    writable(None if options.out is None else options.out.absolute().parent)
    adata, source = open_data(options)
    gene_columns(adata, options)
    same = ("platform", "missing", "exclude_families", "species", "mean_counts", "max_counts",
            "max_transcripts", "probe_sets", "length_key", "ensembl_key")  # fmt: skip
    tl.validate(
        adata,
        options.groupby,
        genes=options.list,
        extend=[] if options.extend is None else options.extend,
        unavailable=options.unavailable,
        limits=ranges(options.limit),
        ensembl_table=existing_file(options.ensembl_table),
        **{name: getattr(options, name) for name in same},
        **source,
    )
    tables = {name: get.validation(adata, name) for name in TABLES}
    for name, said in SENTENCES.items():
        tables[name] = table_in_options(tables[name], said, options.parser)
    print(f"{options.list} against {named(options)}\n")
    _show(tables["checks"])
    if options.out is not None:
        from smash_gpu import report

        title = options.title or f"Validation of {options.list.name}"
        report.write_validation(adata, options.out, title=title, figures=not options.no_figures)
        print(f"Written to {options.out}")
    code = ExitCode.NO if (tables["checks"]["verdict"] == "fail").any() else ExitCode.DONE
    return Result({**tables, "written": [] if options.out is None else [options.out]}, code)


def _show(checks: Any) -> None:
    for row in checks.itertuples():
        genes = row.genes if len(row.genes) <= SHOWN else f"{row.genes[:SHOWN].rpartition(', ')[0]}, …"
        print(f"{row.verdict:<12} {row.check}: {row.detail}" + f"\n{'':<12} {genes}" * bool(genes))
    counts = checks["verdict"].value_counts()
    print("\n" + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
