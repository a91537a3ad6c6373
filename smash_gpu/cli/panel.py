"""Design a panel."""

from __future__ import annotations

import argparse
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from smash_gpu.cli import arguments
from smash_gpu.cli.inputs import (
    existing_file,
    gene_columns,
    gene_list,
    gene_lists,
    kept_in,
    named,
    open_data,
    range_ends,
    ranges,
    save,
    writable,
    write_params,
)
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.model_names import as_models
from smash_gpu.cli.panel_text import show
from smash_gpu.cli.saved import RESULT, save_result
from smash_gpu.cli.typed import COMMAND, given, of_command
from smash_gpu.cli.wording import in_options, table_in_options
from smash_gpu.genes.names import FAMILY_NAMES
from smash_gpu.panel import Request
from smash_gpu.panel.platforms import platform_of
from smash_gpu.panel.request import MIN_CELLS
from smash_gpu.panel.variation import TARGETS

PURPOSE = "design a panel of exactly N genes that separates all classes in a file"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu panel``."""
    arguments.add_source(command, several=True, labels=False)
    add = command.add_argument
    add("--column-weights", nargs="+", type=float, metavar="W", help="weight of each column of --groupby")
    add("--n-genes", type=int, default=Request.n_genes, help="genes to choose, with --include, without --extend")
    add("--nested", action="store_true", help="order the genes so that every prefix is a good panel of its size")
    add("--batch-key", metavar="COLUMN", help="column of obs with batches; classes are compared within batches")
    add("--sample-fraction", type=float, default=Request.sample_fraction, help="share of the samples that must agree")
    _add_genes(command)
    arguments.add_limits(command)
    _add_limits(command)
    add("--min-markers", type=int, default=Request.min_markers, help="minimum number of markers of every class")
    add("--ignore", nargs="+", default=[], metavar="CLASS", help="classes that need not be distinguished from others")
    add(
        "--pair", nargs=3, action="append", default=[], dest="pair_weights", metavar=("A", "B", "WEIGHT"),
        help="weight of a pair of classes",
    )  # fmt: skip
    add("--prior", type=float, default=Request.prior, help="0: equal weights of pairs, 1: weights by class frequency")
    add(
        "--variation", type=float, default=Request.variation, metavar="WEIGHT",
        help="0 to 1: weight of the variation between cells, also inside classes, in what is maximised",
    )  # fmt: skip
    add("--variation-target", choices=TARGETS, default=Request.variation_target, help="what is to be explained")
    add("--tune", action="store_true", help="choose τ, --prior and --variation by cross-validation in the cells")
    arguments.add_ids(command)
    add("--xenium-reference", action="store_true", help="also write the reference bundle for the Xenium Panel Designer")
    add("--tables", choices=("csv", "parquet"), default="csv", help="format of the tables (parquet needs pyarrow)")
    add("--no-figures", action="store_true", help="tables only")
    arguments.add_work(command)


def _add_limits(command: argparse.ArgumentParser) -> None:
    """Limits on single genes and on their sums."""
    add = command.add_argument
    add(
        "--gene-table",
        type=Path,
        metavar="CSV",
        help="table of genes, by name, symbol or Ensembl id, for all options that name a column of genes",
    )
    add(
        "--quota", nargs=4, action="append", default=[], metavar=("NAME", "GENES", "LOW", "HIGH"),
        help="least and most genes of a file or a gene family in the panel; - for an open end",
    )  # fmt: skip
    add("--mask-var", type=arguments.column, metavar="COLUMN", help="column with True for the genes that may be chosen")
    add("--weight-key", type=arguments.column, metavar="COLUMN", help="column with gene weights")
    add(
        "--weights", metavar="MODEL",
        help="weigh what each gene separates by how much a model uses it: rf, brf, xgboost, dnn, or several "
        "with commas between them, trained first on the first column of --groupby; or the key of a tl.smash result "
        "in the file",
    )  # fmt: skip
    add(
        "--failure-rate", type=rate_or_column, metavar="Q",
        help="probability that the probes of a gene fail, or column with one per gene; the best panel on average",
    )  # fmt: skip
    add("--cost-key", type=arguments.column, metavar="COLUMN", help="column with gene costs")
    add("--budget", type=float, help="maximum cost of the panel")
    add("--positive-only", action="store_true", help="leave out genes that stand out by low expression")


def rate_or_column(text: str) -> float | str:
    """A number, or the name of a column."""
    try:
        return float(text)
    except ValueError:
        return arguments.column(text)


def _add_genes(command: argparse.ArgumentParser) -> None:
    """Lists of genes that are in or out."""
    add = command.add_argument
    for name, what in (
        ("include", "genes that must be in the panel"),
        ("extend", "existing panel to add to"),
        ("exclude", "genes to leave out"),
        ("wanted", "genes to choose before all others"),
        ("spare", "genes to choose only if no others are left"),
    ):
        add(f"--{name}", type=Path, metavar="FILE", help=f"{what}; {arguments.GENES}")
    add("--unavailable", type=Path, nargs="+", default=[], metavar="FILE", help="genes without probes, in such files")
    add("--off-target", type=Path, metavar="CSV", help="table of genes with numbers of off-target sites, or scores")
    add("--max-off-target", type=float, default=Request.max_off_target, metavar="N", help="largest such number")


def run(options: argparse.Namespace) -> Result:
    """Design a panel for a file."""
    from smash_gpu import get
    from smash_gpu.panel.fitting import in_words
    from smash_gpu.panel.remarks import on_hla

    out = writable(options.out)
    columns = options.groupby or []
    weights = options.column_weights or [1.0] * len(columns)
    if len(weights) != len(columns):
        raise ValueError(f"--column-weights needs as many weights as --groupby has columns, {len(columns)}.")
    if not columns:
        _need_no_classes(options)
    if "variation_target" in given(options.parser) and not (options.variation or options.tune):
        raise ValueError(
            "--variation-target says what --variation is of; give --variation above 0 too, or leave it out."
        )
    if options.tables == "parquet" and find_spec("pyarrow") is None:
        raise ImportError("--tables parquet needs pyarrow: pip install pyarrow.")
    adata, source = open_data(options)
    print(f"{named(options)}: {adata.n_obs:,} cells × {adata.n_vars:,} genes")
    gene_columns(adata, options)
    groupby = dict(zip(columns, weights, strict=True)) or None
    _choose(adata, options, groupby, source | {"batch_key": options.batch_key})
    if options.platform is not None:
        used = in_words(platform_of(options.platform), get.panel_table(adata, "platform"))
        print(f"\n{in_options(used, options.parser)}")
    show(adata)
    families = {"exclude_families": options.exclude_families, "species": options.species}
    if note := on_hla(get.panel_table(adata)["symbol"], Request.of(families)):
        print(f"{in_options(note, options.parser)}\n")
    said = {"platform": table_in_options(get.panel_table(adata, "platform"), "used", options.parser)}
    written = [] if out is None else _write(adata, options, out, source)
    return Result(_tables(adata) | said | {"written": written})


def _need_no_classes(options: argparse.Namespace) -> None:
    """Raise a ValueError if --groupby is needed."""
    if options.variation != 1:
        raise ValueError(
            "--groupby is missing: give the column of obs with the classes, or --variation 1 for a panel by the "
            "variation alone, without classes."
        )
    for name in ("weights", "xenium_reference"):
        if getattr(options, name):
            raise ValueError(f"--{name.replace('_', '-')} needs classes; give --groupby, or leave it out.")


def _choose(adata: Any, options: argparse.Namespace, groupby: dict[str, float] | None, source: dict[str, Any]) -> None:
    from smash_gpu import tl

    priorities: dict[str, str] = {
        gene: word for word in ("wanted", "spare") for gene in gene_list(getattr(options, word))
    }
    same = ("n_genes", "nested", "sample_fraction", "mean_counts", "max_counts", "max_transcripts", "weight_key",
            "probe_sets", "failure_rate", "cost_key", "budget", "positive_only", "min_markers", "ignore", "prior",
            "exclude_families", "species", "mask_var", "platform", "length_key", "max_off_target", "variation",
            "variation_target", "tune", "random_state")  # fmt: skip
    weights = _weights(adata, options, source)
    tl.panel(
        adata,
        groupby,
        priorities=priorities,
        limits=ranges(options.limit),
        quotas={name: (_group(genes), *range_ends(low, high, "--quota")) for name, genes, low, high in options.quota},
        pair_weights={(a, b): float(weight) for a, b, weight in options.pair_weights},
        work=kept_in(options),
        weights=weights,
        include=gene_list(options.include),
        extend=gene_list(options.extend),
        exclude=gene_list(options.exclude),
        unavailable=gene_lists(options.unavailable),
        off_target=existing_file(options.off_target),
        **{name: getattr(options, name) for name in same},
        **source,
    )


def _weights(adata: Any, options: argparse.Namespace, source: dict[str, Any]) -> str | None:
    """The key of a result of `tl.smash` that is there, or is made with the model of this name, or several."""
    from smash_gpu import tl
    from smash_gpu.annotated import slots

    if options.weights is None or options.weights in adata.uns:
        return options.weights
    cells = {"min_cells": source.get("min_cells") or MIN_CELLS}
    tl.smash(adata, options.groupby[0], model=as_models(options.weights), work=kept_in(options), **source | cells)
    return slots.KEY


def _tables(adata: Any) -> dict[str, Any]:
    """All tables of the panel, that of the genes under the name of its file."""
    from smash_gpu import get
    from smash_gpu.annotated import slots
    from smash_gpu.get._panel import TABLES

    there = [name for name in TABLES if name in adata.uns[slots.PANEL]]
    return {"panel" if name == "genes" else name: get.panel_table(adata, name) for name in there}


def _write(adata: Any, options: argparse.Namespace, out: Path, source: dict[str, Any]) -> list[Path]:
    from smash_gpu import export, get, pl
    from smash_gpu.annotated import slots

    out.mkdir(parents=True, exist_ok=True)
    for name, table in _tables(adata).items():
        getattr(table, f"to_{options.tables}")(out / f"{name}.{options.tables}", index=False)
    ids = {"ensembl_key": options.ensembl_key, "ensembl_table": options.ensembl_table}
    export.xenium(adata, out / "xenium.csv", **ids)
    export.merscope(adata, out / "merscope.csv", **ids)
    export.gene_panel_json(adata, out / "gene_panel.json", **ids)
    export.design_sheet(adata, out / "design_sheet.csv", **ids)
    save_result(adata, out / RESULT, (*(options.groupby or ()), options.sample_key, options.batch_key))
    write_params(slots.recorded(adata, slots.PANEL, "panel") | {COMMAND: of_command(options)}, out)
    if not options.no_figures:
        save(pl.panel_curve(adata), out / "curve.png")
        if options.groupby:
            save(pl.panel_pairs(adata), out / "unresolved.png")
            for column, end in zip(options.groupby, _ends(options.groupby), strict=True):
                save(pl.panel_dotplot(adata, column=column), out / f"dotplot{end}.png")
                save(pl.panel_heatmap(adata, column=column), out / f"heatmap{end}.png")
        if get.panel_table(adata, "crowding")["transcripts"].notna().all():
            save(pl.panel_crowding(adata), out / "crowding.png")
            save(pl.panel_levels(adata), out / "levels.png")
    if options.xenium_reference:
        kept = {name: value for name, value in source.items() if name != "sample_key"}
        export.xenium_reference(
            adata,
            out / "xenium_reference",
            groupby=options.groupby[0],
            random_state=options.random_state,
            **ids,
            **kept,
        )
    written = sorted(out.iterdir())
    print(f"Written to {out}: {', '.join(path.name for path in written)}\n")
    return written


def _ends(columns: list[str]) -> list[str]:
    """What the names of the figures of each column end with; nothing for the first."""
    return ["", *(re.sub(r"[^\w.-]+", "_", f"_{column}") for column in columns[1:])]


def _group(genes: str) -> Any:
    """The genes of a file, or the name of a gene family."""
    return genes if genes in FAMILY_NAMES else gene_list(Path(genes))
