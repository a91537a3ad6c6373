"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

PANEL_GENES = 30
CLASSIFIERS = ("knn", "logreg", "forest")
MODELS = ("rf", "brf", "xgboost", "dnn")
PANEL = "panel"


def add_source(command: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Files and where their expression and cells are; with ``several`` columns of cell types."""
    data = "h5ad file or zarr store, several as one data set, or a pattern in quotes"
    command.add_argument("data", type=Path, nargs="+", metavar="DATA", help=data)
    more = {"nargs": "+", "metavar": "COLUMN"} if several else {}
    command.add_argument("--groupby", required=True, help="column of obs with the cell types", **more)
    command.add_argument("--layer", help="layer to read instead of X")
    command.add_argument("--use-raw", action="store_true", help="read .raw instead of X")
    command.add_argument("--normalized", action="store_true", help="the values are log-normalised, not counts")
    command.add_argument("--gene-symbols", metavar="COLUMN", help="column of var with gene symbols")
    command.add_argument("--min-cells", type=int, help="leave out groups with fewer cells")
    command.add_argument("--sample-key", metavar="COLUMN", help="column of obs with samples or donors")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    command.add_argument(
        "--memory", metavar="AMOUNT", help="memory of the whole program at most, as 8GB; else half of what is free"
    )


def add_work(command: argparse.ArgumentParser) -> None:
    """Where finished stages are kept."""
    command.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="keep finished stages here: the same command goes on from them",
    )


def add_selection(command: argparse.ArgumentParser) -> None:
    """Filters, model and ranking."""
    command.add_argument("--model", choices=MODELS, default="rf", help="classifier that scores the genes")
    command.add_argument("--n-top", type=int, default=5, help="markers a group")
    command.add_argument("--within", metavar="COLUMN", help="broad groups: one selection inside each")
    command.add_argument("--unique", action="store_true", help="a gene serves one group only")
    command.add_argument("--positive-only", action="store_true", help="no genes that are low in their group")
    command.add_argument("--n-models", type=int, default=1, help="models to average")
    command.add_argument(
        "--max-cells",
        type=int,
        metavar="N",
        help="cells to learn from at most; else 100,000 for forests, all for others",
    )
    command.add_argument("--species", choices=("auto", "human", "mouse"), default="auto", help="for gene families")
    command.add_argument("--exclude", type=Path, metavar="FILE", help="genes to remove, one a line")
    command.add_argument("--keep", type=Path, metavar="FILE", help="genes that no rule removes, one a line")
    command.add_argument("--paper", action="store_true", help="the filters and scores of the paper")
    command.add_argument("--no-figures", action="store_true", help="tables only")
    command.add_argument("--no-inverse-pca", action="store_true", help="skip the inverse PCA")
    if not any("--n-genes" in action.option_strings for action in command._actions):
        command.add_argument("--n-genes", type=int, default=PANEL_GENES, help="genes of the panel")


def add_evaluation(command: argparse.ArgumentParser, *, given: bool) -> None:
    """How to judge; the lists of genes themselves where they are ``given``."""
    add = command.add_argument
    if given:
        add(
            "--genes", type=Path, nargs="+", default=[], metavar="FILE",
            help="lists of genes, one a line, or tables with a column 'name'; a list is named after its file",
        )  # fmt: skip
        add(
            "--select", choices=(*MODELS, PANEL), nargs="+", default=[],
            help="also judge what this model, or the panel design, selects, chosen anew inside every split",
        )  # fmt: skip
        add(
            "--n-genes", type=int, nargs="+", metavar="N",
            help=f"judge the first N genes, for every N; default: whole lists, {PANEL_GENES} genes of a selection",
        )  # fmt: skip
    add("--classifier", choices=CLASSIFIERS, nargs="+", default=["knn"], help="what judges")
    add("--protocol", choices=("leak-free", "paper"), default="leak-free", help="how to split and scale")
    add("--n-splits", type=int, default=3, help="splits, or folds of samples, of the leak-free protocol")
    add("--n-seeds", type=int, default=1, help="how often the splits are made anew")
    add(
        "--n-random",
        type=int,
        default=0,
        help="random panels to compare each list with, of equal expression",
    )
    add("--thin", type=float, nargs="+", default=[], metavar="SHARE", help="judge again with this share of the counts")
    add("--dropout", type=float, nargs="+", default=[], metavar="CHANCE", help="judge again with genes that fail")
