"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from smash_gpu.annotated.source import Source
from smash_gpu.cli.inputs import range_end
from smash_gpu.cli.model_names import ALONE, Given, Known, as_models
from smash_gpu.compute.device import DEVICES
from smash_gpu.evaluation import CLASSIFIERS, PROTOCOLS, Judging, Splitting
from smash_gpu.evaluation.metrics import STRUCTURE
from smash_gpu.genes.filters import SPECIES
from smash_gpu.genes.lists import MISSING, POLICIES
from smash_gpu.genes.names import FAMILY_NAMES
from smash_gpu.models import MODELS, cells_to_learn_from
from smash_gpu.panel import Request
from smash_gpu.panel.platforms import LENGTH_KEY, built_in
from smash_gpu.selection.options import PANEL_GENES, Filters, Importance, Ranking

TABLES = (".csv", ".tsv", ".txt", ".gz")
GENES = "one per line, or a table with a column 'name', 'gene', 'symbol' or the like"


def add_source(
    command: argparse.ArgumentParser,
    *,
    several: bool = False,
    labels: bool = True,
    data: str = "data",
    samples: bool = True,
    needed: bool = True,
) -> None:
    """Input files and how to read them; ``several`` allows more than one column of cell types.

    Parameters
    ----------
    labels
        Whether the column of cell types is needed.
    data
        "data", or the name of an option for the files, with dashes.
    samples
        Whether the command asks for samples.
    needed
        Whether the files have to be given as options.
    """
    files = "h5ad file or zarr store; several are joined to one data set; or a pattern in quotes"
    option: dict[str, Any] = {} if data == "data" else {"dest": "data", "required": needed}
    command.add_argument(data, type=Path, nargs="+", metavar="DATA", help=files, **option)
    more = {"nargs": "+"} if several else {}
    command.add_argument(
        "--groupby", required=labels, metavar="COLUMN", help="column of obs with the cell types", **more
    )
    command.add_argument("--layer", help="layer to read instead of X")
    command.add_argument("--use-raw", action="store_true", help="read .raw instead of X")
    values = command.add_mutually_exclusive_group()
    for name, holds, what in (
        ("--normalized", False, "the values are log-normalised, not counts"),
        ("--counts", True, "the values are counts, in spite of fractions and none above 20"),
    ):
        values.add_argument(
            name, dest="normalize", action="store_const", const=holds, default=Source.normalize, help=what
        )
    command.add_argument("--gene-symbols", metavar="COLUMN", help="column of var with gene symbols")
    command.add_argument("--min-cells", type=int, help="leave out classes with fewer cells")
    if samples:
        command.add_argument("--sample-key", metavar="COLUMN", help="column of obs with samples or donors")
    command.add_argument("--device", choices=DEVICES, default=Source.device, help="where to compute")
    command.add_argument(
        "--memory",
        metavar="AMOUNT",
        help="memory limit of the whole program, e.g. 8GB; default: half of the free memory",
    )


def add_work(command: argparse.ArgumentParser) -> None:
    """Folder for finished stages."""
    command.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder for finished stages; the same command continues from them",
    )


def add_species(command: argparse.ArgumentParser) -> None:
    """The species of the gene families."""
    command.add_argument("--species", choices=SPECIES, default=Filters.species, help="species for the gene families")


def add_limits(command: argparse.ArgumentParser, *, species: bool = True) -> None:
    """What the genes of a panel may be."""
    add = command.add_argument
    add(
        "--exclude-families", nargs="*", choices=FAMILY_NAMES, default=list(Request.exclude_families),
        help="gene families that do not belong into a panel; without a name: none",
    )  # fmt: skip
    if species:
        add_species(command)
    for name, what in (("mean", "mean counts per cell"), ("max", "mean counts per cell in the class with the most")):
        said = f"range of {what}; - for an open end"
        add(f"--{name}-counts", nargs=2, type=range_end, metavar=("LOW", "HIGH"), help=said)
    add("--max-transcripts", type=float, metavar="N", help="maximum transcripts per cell of the panel in any class")
    add(
        "--probe-sets", nargs=2, type=number_or_column, metavar=("LOW", "HIGH"),
        help="least and most probe sets of a gene, numbers or columns; with fewer it adds less to --max-transcripts",
    )  # fmt: skip
    add("--limit", nargs=3, action="append", default=[], metavar=("COLUMN", "LOW", "HIGH"), help="range of a column")
    add("--transcript-lengths", type=Path, metavar="FILE", help="GTF file, or table of genes, that fills --length-key")
    add(
        "--length-key",
        type=column,
        metavar="COLUMN",
        help=f"column with transcript lengths; default: {LENGTH_KEY}, if there",
    )
    known = ", ".join(built_in())
    add("--platform", metavar="NAME", help=f"imaging platform whose public limits hold: {known}, or a TOML file")


def add_printed(command: argparse.ArgumentParser, what: str) -> None:
    """The printed panel, and the table of genes that limits may name."""
    command.add_argument("--extend", type=Path, metavar="FILE", help=f"{what}; {GENES}")
    said = "table of genes, by name, symbol or Ensembl id, with columns for --limit, --probe-sets and --length-key"
    command.add_argument("--gene-table", type=Path, metavar="CSV", help=said)


def add_ids(command: argparse.ArgumentParser) -> None:
    """Where Ensembl ids are."""
    command.add_argument("--ensembl-key", metavar="COLUMN", help="column of var with Ensembl ids")
    said = "Ensembl ids by symbol, for genes without one in var, such as features.tsv.gz of Cell Ranger"
    command.add_argument("--ensembl-table", type=Path, metavar="FILE", help=said)


def column(text: str) -> str:
    """The name of a column of genes, not of a file."""
    suffix = Path(text).suffix.lower()
    if suffix in TABLES or (suffix and Path(text).is_file()):
        raise argparse.ArgumentTypeError(
            f"{text} is a file; pass it as --gene-table {text}, and the name of its column here"
        )
    return text


def number_or_column(text: str) -> int | str:
    """A whole number, or the name of a column."""
    return int(text) if text.isdecimal() else column(text)


def add_candidates(command: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Options of filters and model; ``several`` allows more than one model."""
    what = "classifier that scores the genes"
    if several:
        command.add_argument(
            "--model", type=as_models, choices=Known(MODELS), default=Importance.model, action=Given,
            help=f"{what}; of several, as in dnn,xgboost, the consensus",
        )  # fmt: skip
    else:
        command.add_argument("--model", choices=tuple(MODELS), default=Importance.model, help=what)
    command.add_argument(
        "--max-cells",
        type=int,
        metavar="N",
        help=f"maximum number of training cells; None: {_limits()}all for others",
    )
    add_species(command)
    command.add_argument("--exclude", type=Path, metavar="FILE", help=f"genes to remove, {GENES}")
    command.add_argument("--keep", type=Path, metavar="FILE", help=f"genes that no rule may remove, {GENES}")
    command.add_argument("--paper", action="store_true", help="use the filters and scores of the paper")
    command.add_argument("--inverse-pca", action="store_true", help="narrow the genes by inverse PCA")


def add_selection(command: argparse.ArgumentParser) -> None:
    """Options of filters, model and ranking."""
    add_candidates(command, several=True)
    add_tuned(command)
    command.add_argument("--n-top", type=int, default=Ranking.n_top, help="markers per class")
    command.add_argument(
        "--within", metavar="COLUMN", help="column of obs with broad classes; one selection within each"
    )
    command.add_argument("--unique", action="store_true", help="use each gene as marker of only one class")
    add_effects(command)
    command.add_argument("--no-figures", action="store_true", help="tables only")
    if not any("--n-genes" in action.option_strings for action in command._actions):
        command.add_argument("--n-genes", type=int, default=PANEL_GENES, help="number of genes in the panel")


def add_tuned(command: argparse.ArgumentParser) -> None:
    """Tuned options of the model, and how many models."""
    command.add_argument(
        "--tuned", type=Path, nargs="+", metavar="FILE",
        help="tuning.json of smash-gpu tune, or those of several models; their models and best options are used",
    )  # fmt: skip
    command.add_argument("--n-models", type=int, default=Importance.n_models, help="number of models to average")


def add_effects(command: argparse.ArgumentParser) -> None:
    """Effect sizes that a marker needs."""
    command.add_argument("--positive-only", action="store_true", help="leave out genes that are low in their class")
    for name, what in (
        ("min_log2_fold_change", "smallest log2 fold change of a marker against the other cells; 0 for any"),
        ("min_fraction_difference", "smallest share of cells with a marker, minus that outside; -1 for any"),
        (
            "near_highest",
            "lowest place of a marker between the lowest (0) and highest (1) mean of a class; 0 for any",
        ),
    ):
        option = f"--{name.replace('_', '-')}"
        command.add_argument(option, type=float, default=getattr(Ranking, name), metavar="X", help=what)


def _limits() -> str:
    limits = {name: cells_to_learn_from(name, None) for name in MODELS}
    return "".join(f"{limit:,} for {name}, " for name, limit in limits.items() if limit < math.inf)


def add_resamples(command: argparse.ArgumentParser, default: int, what: str) -> None:
    """Halves on which the selection is repeated."""
    command.add_argument("--n-resamples", type=int, default=default, metavar="N", help=what)


def add_lists(command: argparse.ArgumentParser) -> None:
    """What to evaluate: gene lists and selections."""
    add = command.add_argument
    add(
        "--genes", type=Path, nargs="+", default=[], metavar="FILE",
        help=f"gene lists, {GENES}; a list is named after its file",
    )  # fmt: skip
    add("--missing", choices=POLICIES, default=MISSING, help="what to do about genes of a list that the data lack")
    add(
        "--select", type=as_models, choices=Known((*MODELS, *ALONE)), nargs="+", default=[],
        help="also evaluate the genes that this model, the consensus of several (rf,xgboost), the panel design, or "
        "scanpy's Wilcoxon test selects within every split",
    )  # fmt: skip
    add(
        "--n-genes", type=int, nargs="+", metavar="N",
        help=f"evaluate the first N genes, for every N; default: whole lists, {PANEL_GENES} genes of a selection",
    )  # fmt: skip


def add_evaluation(command: argparse.ArgumentParser) -> None:
    """Options of the evaluation."""
    add = command.add_argument
    add_classifiers(command, Judging.classifiers)
    add("--protocol", choices=PROTOCOLS, default=Splitting.protocol, help="how to split and scale")
    add("--n-splits", type=int, default=Splitting.n_splits, help="splits or sample folds of the leak-free protocol")
    add("--n-seeds", type=int, default=Splitting.n_seeds, help="number of repetitions of the splits")
    add_random(command, Judging.n_random)
    add("--thin", type=float, nargs="+", default=[], metavar="SHARE", help="repeat with only this share of the counts")
    add(
        "--dropout", type=float, nargs="+", default=[], metavar="CHANCE",
        help="repeat with genes that fail with this probability",
    )  # fmt: skip
    add(
        "--degrade", type=level, nargs="+", default=[], metavar="NAME=LEVEL",
        help="repeat on one simulated platform, e.g. gene_bias=0.9 background=0.02 thin=0.3 dropout=0.1",
    )  # fmt: skip
    add(
        "--structure", nargs="*", choices=STRUCTURE, default=False, action=NamesOrTrue, metavar="METRIC",
        help=f"further metrics, of {', '.join(STRUCTURE)}; without a name the first two",
    )  # fmt: skip
    add("--intact-training", action="store_true", help="simulate platforms for held-out cells only")


class NamesOrTrue(argparse.Action):
    """Names, or True where none is given."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Set the value."""
        setattr(namespace, self.dest, values or True)


def level(text: str) -> tuple[str, float]:
    """What ``NAME=LEVEL`` says."""
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=LEVEL, such as thin=0.3") from None


def add_classifiers(command: argparse.ArgumentParser, default: tuple[str, ...]) -> None:
    """The classifiers that judge."""
    command.add_argument(
        "--classifier", choices=CLASSIFIERS, nargs="+", default=list(default), help="classifiers to use"
    )


def add_random(command: argparse.ArgumentParser, default: int) -> None:
    """Random panels to compare with."""
    what = "random panels of equal expression to compare with"
    command.add_argument("--n-random", type=int, default=default, help=what)
