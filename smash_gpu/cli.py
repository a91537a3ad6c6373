"""``smash-gpu demo | find | evaluate``."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

PANEL_GENES = 30
MODELS = ("rf", "brf", "xgboost", "dnn")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if it worked, 2 after a message about what to change."""
    options = _parser().parse_args(arguments)
    warnings.showwarning = _note
    try:
        options.run(options)
    except (KeyError, ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        print(f"smash-gpu: {error.args[0] if isinstance(error, KeyError) else error}", file=sys.stderr)
        return 2
    return 0


def demo(options: argparse.Namespace) -> None:
    """Markers of the ten blood cell types of scanpy's packaged data, and how well they tell them apart."""
    import scanpy

    out = _writable(options.out)
    adata = scanpy.datasets.pbmc68k_reduced()
    options.groupby = "bulk_labels"
    print(f"pbmc68k_reduced: {adata.n_obs} cells × {adata.n_vars} genes, log-normalised in .raw")
    _find(adata, options, out, use_raw=True, normalize=False)
    print("Evaluation (selection repeated inside each training part):")
    _evaluate(adata, options, None)


def find(options: argparse.Namespace) -> None:
    """Find markers in a file."""
    out = _writable(options.out)
    from smash_gpu import files, reading

    adata = files.open_file(options.data)
    if options.use_raw:
        adata = reading.raw_of(adata)
    print(f"{options.data}: {adata.n_obs:,} cells × {adata.n_vars:,} genes")
    _find(
        adata,
        options,
        out,
        layer=options.layer,
        normalize=not options.normalized,
        gene_symbols=options.gene_symbols,
        min_cells=options.min_cells,
        sample_key=options.sample_key,
        batch_key=options.batch_key,
        device=options.device,
    )


def evaluate(options: argparse.Namespace) -> None:
    """Judge a list of genes."""
    from smash_gpu import files, reading

    out = _writable(options.out)
    genes = _gene_list(options.genes)
    adata = files.open_file(options.data)
    if options.use_raw:
        adata = reading.raw_of(adata)
    print(f"{len(genes)} genes of {options.genes} on {options.data}: {adata.n_obs:,} cells")
    source = {"layer": options.layer, "normalize": not options.normalized, "gene_symbols": options.gene_symbols}
    source |= {"min_cells": options.min_cells, "sample_key": options.sample_key, "device": options.device}
    table = _evaluate(adata, options, genes, **source)
    if out is not None:
        from smash_gpu import get, pl

        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "evaluation.csv")
        get.confusion(adata).to_csv(out / "confusion.csv")
        _save(pl.confusion(adata), out / "confusion.png")
        print(f"Written to {out}: evaluation.csv confusion.csv confusion.png")


def _find(adata: Any, options: argparse.Namespace, out: Path | None, **source: Any) -> None:
    from smash_gpu import get, tl

    if options.n_genes < 1:
        raise ValueError(f"--n-genes {options.n_genes}: a panel has at least one gene.")
    filters = {"exclude": _gene_list(options.exclude), "keep": _gene_list(options.keep), "species": options.species}
    tl.smash(
        adata,
        options.groupby,
        model=options.model,
        n_top=options.n_top,
        within=options.within,
        unique=options.unique,
        positive_only=options.positive_only,
        n_models=options.n_models,
        random_state=options.random_state,
        filters=filters,
        inverse_pca=not options.no_inverse_pca,
        **source,
    )
    print("\nGenes removed by each rule:")
    print(adata.uns["smash"]["filters"].to_string(index=False))
    accuracy = adata.uns["smash"]["accuracy"]
    share = f"{accuracy.mean():.1%}" + (f" (mean of {len(accuracy)})" if len(accuracy) > 1 else "")
    print(f"\nModel {options.model}: accuracy {share} on held-out cells, with all candidate genes.")
    print("\nMarkers (− marks a gene that is lower in the group than elsewhere):")
    markers = get.markers(adata)
    if not len(markers):
        raise ValueError(
            "no gene can be a marker of any group: relax the sample rule (--sample-key) or --positive-only."
        )
    print(_marker_lines(markers) + "\n")
    if out is not None:
        _write(adata, options, out)


def _evaluate(adata: Any, options: argparse.Namespace, genes: list[str] | None, **source: Any) -> Any:
    from smash_gpu import get, tl

    tl.evaluate(
        adata, options.groupby, genes=genes, n_genes=options.n_genes, protocol=options.protocol,
        n_splits=options.n_splits, random_state=options.random_state, **source,
    )  # fmt: skip
    table = get.evaluation(adata)
    print(f"k nearest neighbours (k = 3) on {table.loc['n_genes', 'mean']:.0f} genes, protocol {options.protocol}:")
    print(table.drop(index="n_genes").to_string(float_format="{:.3f}".format))
    print("M of the paper's tables is misclassification, its F1 is f1_weighted.")
    return table


def _marker_lines(table: Any) -> str:
    names = table["name"] + table["direction"].map({"up": "", "down": "−"})
    lines = names.groupby(table["group"], observed=True, sort=False).agg(", ".join)
    width = max(len(str(group)) for group in lines.index)
    return "\n".join(f"  {group!s:<{width}}  {genes}" for group, genes in lines.items())


def _write(adata: Any, options: argparse.Namespace, out: Path) -> None:
    from smash_gpu import get, pl, slots

    out.mkdir(parents=True, exist_ok=True)
    get.markers(adata).to_csv(out / "markers.csv", index=False)
    adata.uns["smash"]["filters"].to_csv(out / "filters.csv", index=False)
    scored = int(adata.varm["smash_eligible"].any(axis=1).sum())
    panel = get.panel(adata, min(options.n_genes, scored))
    with (out / "panel.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("rank", "name"), *enumerate(panel, start=1)])
    params = {step: slots.recorded(adata, "smash", step) for step in adata.uns["smash"]["params"]}
    (out / "params.json").write_text(json.dumps(params, indent=2))
    figures = [] if options.no_figures else ["markers.png"]
    for name in figures:
        _save(pl.markers(adata), out / name)
    written = ("markers.csv", f"panel.csv ({len(panel)} genes)", "filters.csv", "params.json", *figures)
    print(f"Written to {out}: {', '.join(written)}\n")


def _save(ax: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    ax.figure.savefig(path, dpi=150)
    plt.close(ax.figure)


def _writable(out: Path | None) -> Path | None:
    if out is None:
        return None
    parent = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise PermissionError(f"the output folder {out} cannot be written: {parent} is not a folder you may write to.")
    return out


def _gene_list(path: Path | None) -> list[str]:
    """The genes of a file: its column "name" or "gene" if it is a table, else one a line."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text file: give one gene a line, or a table with a column 'name'.") from None
    rows = list(
        csv.reader(
            [line for line in lines if line.strip()], delimiter="\t" if any("\t" in line for line in lines[:1]) else ","
        )
    )
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((header.index(word) for word in ("name", "gene") if word in header), None)
    cells = [row[column or 0] for row in rows[column is not None :] if len(row) > (column or 0)]
    genes = list(dict.fromkeys(cell.strip() for cell in cells if cell.strip()))
    if not genes:
        raise ValueError(f"{path} holds no genes: give one a line, or a table with a column 'name'.")
    return genes


def _note(message: Warning | str, category: type, *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning) and not issubclass(category, DeprecationWarning):
        print(f"note: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smash-gpu", description="Marker genes from annotated single-cell data.")
    commands = parser.add_subparsers(required=True, metavar="demo | find | evaluate")
    purposes = {demo: "markers of data that scanpy ships", find: "markers of a file", evaluate: "judge a list of genes"}
    for run, purpose in purposes.items():
        command = commands.add_parser(
            run.__name__, help=purpose, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        command.set_defaults(run=run)
        command.add_argument("--out", type=Path, metavar="DIR", help="folder for tables and figures")
        command.add_argument("--random-state", type=int, default=0, help="seed; one seed, one result")
        if run is not demo:
            _add_source(command)
        if run is find:
            command.add_argument(
                "--batch-key", metavar="COLUMN", help="column of obs with batches, corrected by Harmony"
            )
        if run is not evaluate:
            _add_selection(command)
        if run is not find:
            _add_evaluation(command, given=run is evaluate)
    return parser


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", type=Path, metavar="DATA", help="h5ad file or zarr store")
    command.add_argument("--groupby", required=True, help="column of obs with the cell types")
    command.add_argument("--layer", help="layer to read instead of X")
    command.add_argument("--use-raw", action="store_true", help="read .raw instead of X")
    command.add_argument("--normalized", action="store_true", help="the values are log-normalised, not counts")
    command.add_argument("--gene-symbols", metavar="COLUMN", help="column of var with gene symbols")
    command.add_argument("--min-cells", type=int, help="leave out groups with fewer cells")
    command.add_argument("--sample-key", metavar="COLUMN", help="column of obs with samples or donors")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")


def _add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", choices=MODELS, default="rf", help="classifier that scores the genes")
    command.add_argument("--n-top", type=int, default=5, help="markers a group")
    command.add_argument("--within", metavar="COLUMN", help="broad groups: one selection inside each")
    command.add_argument("--unique", action="store_true", help="a gene serves one group only")
    command.add_argument("--positive-only", action="store_true", help="no genes that are low in their group")
    command.add_argument("--n-models", type=int, default=1, help="models to average")
    command.add_argument("--species", choices=("auto", "human", "mouse"), default="auto", help="for gene families")
    command.add_argument("--exclude", type=Path, metavar="FILE", help="genes to remove, one a line")
    command.add_argument("--keep", type=Path, metavar="FILE", help="genes that no rule removes, one a line")
    command.add_argument("--no-figures", action="store_true", help="tables only")
    command.add_argument("--no-inverse-pca", action="store_true", help="skip the inverse PCA")
    if not any("--n-genes" in action.option_strings for action in command._actions):
        command.add_argument("--n-genes", type=int, default=PANEL_GENES, help="genes of the panel")


def _add_evaluation(command: argparse.ArgumentParser, *, given: bool) -> None:
    if given:
        command.add_argument(
            "--genes", type=Path, required=True, metavar="FILE", help="one a line, or a table with 'name'"
        )
        command.set_defaults(n_genes=PANEL_GENES)
    command.add_argument(
        "--protocol", choices=("leak-free", "paper"), default="leak-free", help="how to split and scale"
    )
    command.add_argument("--n-splits", type=int, default=3, help="splits of the leak-free protocol")


if __name__ == "__main__":
    sys.exit(main())
