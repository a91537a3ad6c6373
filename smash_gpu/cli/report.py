"""Write a report."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from smash_gpu.cli import arguments
from smash_gpu.cli.evaluate import protocol
from smash_gpu.cli.find import select
from smash_gpu.cli.inputs import named, open_data, require_samples, writable
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.tune import use_tuned
from smash_gpu.errors import warn
from smash_gpu.evaluation.judging import Resampling
from smash_gpu.selection.options import PANEL_GENES

PURPOSE = "one HTML file with markers, figures and their evaluation"
OUT = "FILE", "HTML file to write"
SIZES = (10, 20, 30, 50, 100)
MAX_SHARE = 0.8  # of the genes with a score; with fewer cells the filters may leave fewer genes
JUDGING = (
    "n_genes",
    "classifier",
    "protocol",
    "n_splits",
    "n_seeds",
    "n_random",
    "thin",
    "dropout",
    "degrade",
    "intact_training",
    "structure",
)
ELSEWHERE = ("help", "data", "groupby", "out", "title", "again", "no_figures", "json", "umap", "n_resamples")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu report``."""
    arguments.add_source(command, labels=False)
    add = command.add_argument
    add("--batch-key", metavar="COLUMN", help="column of obs with batches, corrected by Harmony")
    add(
        "--n-genes", type=int, nargs="+", metavar="N",
        help=f"sizes of the learning curve; the panel has the largest; default: those of {', '.join(map(str, SIZES))} "
        "for which there are enough genes",
    )  # fmt: skip
    arguments.add_selection(command)
    arguments.add_evaluation(command)
    arguments.add_resamples(command, 0, "halves to repeat the selection on, for the chapter on stability; 0: none")
    add("--title", help="heading; default: the name of the file")
    add("--umap", action="store_true", help="draw the cells by all genes and by those of a designed panel in the file")
    add("--again", action="store_true", help="select and evaluate again even if the file holds results")
    command.set_defaults(out=Path("report.html"), n_splits=5, n_random=3)
    command.set_defaults(unasked={action.dest: action.default for action in command._actions})


def run(options: argparse.Namespace) -> Result:
    """Use the results in the file, or compute them; then write the report."""
    from smash_gpu.selection import several

    out = options.out
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; pass the name of an HTML file as --out.")
    writable(out.absolute().parent)
    if options.n_resamples:
        Resampling(options.n_resamples)
    adata, source = open_data(options)
    source["batch_key"] = options.batch_key
    print(f"{named(options)}: {adata.n_obs:,} cells × {adata.n_vars:,} genes")
    if _holds_a_panel_and_no_markers(adata) and (adata.X is None or options.groupby is None):
        if adata.X is None:  # the panel.h5ad of `smash-gpu panel`
            _need_no_cells(options)
        elif asked := _asked(options):
            raise ValueError(_needs_groupby(f"--{min(asked).replace('_', '-')} is for a selection, and"))
        return _written(adata, options, None)
    if options.groupby is None:
        raise ValueError(_needs_groupby())
    if options.n_resamples:
        require_samples(adata, options.sample_key)
    asked = _asked(options)
    use_tuned(adata, options)
    kept = _holds(adata, options, "markers", asked - set(JUDGING))
    if not kept:
        _note_evaluation_without_selection(adata)
        with _timed(f"Selecting markers, model {several.in_words(options.model)}"):
            select(adata, options, **source)
    if not (kept and _holds(adata, options, "evaluation", asked)):
        _judge(adata, options, source if not kept else {})
    if options.n_resamples:
        _resample(adata, options, source if not kept else {})
    return _written(adata, options, f"Marker genes of {Path(named(options)).stem}")


def _written(adata: Any, options: argparse.Namespace, title: str | None) -> Result:
    from smash_gpu import report

    out = options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    with _timed(f"Writing {out}"):
        report.write(adata, out, title=options.title or title, figures=not options.no_figures, umap=options.umap)
    print(f"{out}: {out.stat().st_size / 1024:,.0f} KiB, needs no other file and no network")
    return Result({"written": [out], "bytes": out.stat().st_size})


def _needs_groupby(why: str = "") -> str:
    return f"{why} --groupby is missing: give the column of obs with the cell types.".strip()


def _holds_a_panel_and_no_markers(adata: Any) -> bool:
    from smash_gpu.annotated import slots

    return slots.PANEL in adata.uns and "markers" not in adata.uns.get(slots.KEY, {})


def _need_no_cells(options: argparse.Namespace) -> None:
    """Raise a ValueError for options of steps that a file without cells does not allow."""
    given = sorted(_asked(options)) + [name for name in ("umap", "n_resamples") if getattr(options, name)]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise ValueError(f"{named(options)} holds a designed panel and no counts, which {option} needs; omit {option}.")


def _note_evaluation_without_selection(adata: Any) -> None:
    from smash_gpu.annotated import slots

    found = adata.uns.get(slots.KEY, {})
    if "evaluation" in found and "markers" not in found:
        way_out = "; leave out --groupby for a page on the panel and on it" if slots.PANEL in adata.uns else ""
        warn(f"the evaluation in the file is of lists without a selection, and the page is on a selection{way_out}.")


def _asked(options: argparse.Namespace) -> set[str]:
    """The options of selection and evaluation that the user set."""
    return {
        name for name, default in options.unasked.items() if name not in ELSEWHERE and getattr(options, name) != default
    }


def _holds(adata: Any, options: argparse.Namespace, slot: str, asked: set[str]) -> bool:
    """Whether the results in the file are used; prints this, or why not."""
    from smash_gpu.annotated import slots
    from smash_gpu.selection import several

    what = {"markers": "selection", "evaluation": "evaluation"}[slot]
    found = adata.uns.get(slots.KEY, {})
    if slot not in found or f"{slots.KEY}_fraction" not in adata.varm:
        return False
    groupby = slots.recorded(adata, slots.KEY).get("groupby")
    reasons = [f"--{name.replace('_', '-')}" for name in sorted(asked)]
    reasons += ["--again"] * options.again + [f"it is of {groupby!r}"] * (groupby != options.groupby)
    if changed := slots.changes(adata, slots.KEY, slot):
        reasons.append(f"{changed} since")
    if reasons:
        print(f"The {what} in the file is computed again: {', '.join(reasons)}.")
        return False
    made = slots.recorded(adata, slots.KEY, "importance")
    how = (
        f"model {several.in_words(made.get('model', ''))}, seed {made.get('random_state')}"
        if slot == "markers"
        else protocol(adata)
    )
    print(f"Using the {what} in the file ({how}); --again computes it again.")
    return True


def _judge(adata: Any, options: argparse.Namespace, source: dict[str, Any]) -> None:
    from smash_gpu import get, tl
    from smash_gpu.annotated import slots

    sizes = options.n_genes or _sizes(slots.n_scored(adata, slots.KEY))
    within = slots.recorded(adata, slots.KEY, "within").get("column")
    genes = {f"panel chosen within {within}": get.marker_panel(adata, max(sizes))} if within else None
    with _timed(f"Evaluating {', '.join(map(str, sizes))} genes"):
        tl.evaluate(
            adata, options.groupby, genes=genes, n_genes=sizes, **source,
            **{name: getattr(options, name) for name in (*JUDGING, "random_state") if name != "n_genes"},
        )  # fmt: skip
        print(f"  {protocol(adata)}")


def _resample(adata: Any, options: argparse.Namespace, source: dict[str, Any]) -> None:
    """Repeat the selection of the largest panel that was judged."""
    from smash_gpu import tl
    from smash_gpu.annotated import slots

    if slots.recorded(adata, slots.KEY, "within"):
        warn("a selection within broad classes cannot be repeated on halves: no chapter on stability.")
        return
    n_genes = max(slots.recorded(adata, slots.KEY, "evaluation").get("n_genes") or [PANEL_GENES])
    with _timed(f"Selecting {n_genes} genes again on {options.n_resamples} halves"):
        tl.stability(
            adata, options.groupby, n_genes=n_genes, n_resamples=options.n_resamples,
            random_state=options.random_state, **source,
        )  # fmt: skip


def _sizes(scored: int) -> list[int]:
    most = max(1, int(MAX_SHARE * scored))
    left_out = [n for n in SIZES if n > most]
    if left_out:
        print(f"Not evaluated: {', '.join(map(str, left_out))} genes, because only {scored} have a score.")
    return [n for n in SIZES if n <= most] or [most]


@contextmanager
def _timed(what: str) -> Iterator[None]:
    start = perf_counter()
    print(f"{what} …", flush=True)
    yield
    print(f"  {perf_counter() - start:.1f} s", flush=True)
