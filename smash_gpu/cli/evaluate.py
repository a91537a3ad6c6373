"""Evaluate gene lists."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from smash_gpu.cli import arguments, design
from smash_gpu.cli.inputs import gene_columns, gene_list, named, open_data, save, save_params, writable
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.model_names import PANEL
from smash_gpu.evaluation.judging import WILCOXON
from smash_gpu.genes.lists import MISSING
from smash_gpu.genes.tables import Gene
from smash_gpu.genes.vendors import begins_with_base

PURPOSE = "compare gene lists and selections"
PRINTED = ("misclassification", "macro_1_minus_recall", "f1_macro", "f1_weighted")
WORST_PAIRS = 3


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu evaluate``."""
    arguments.add_source(command)
    arguments.add_lists(command)
    arguments.add_evaluation(command)
    design.add_arguments(command, asked_by="--select panel")
    command.add_argument("--no-figures", action="store_true", help="tables only")


def run(options: argparse.Namespace) -> Result:
    """Evaluate gene lists, and selections made within the splits."""
    out = writable(options.out)
    if not options.genes and not options.select:
        raise ValueError("there is nothing to evaluate; pass gene lists with --genes, models with --select, or both.")
    design.require_asked(options, is_asked=PANEL in options.select)
    lists = lists_of(options.genes)
    _note_slides(options)
    adata, source = open_data(options)
    gene_columns(adata, options)
    design.require_room(adata, options.n_genes, options)
    sizes = [f"{name} ({len(genes)} genes)" for name, genes in lists.items()]
    print(
        f"{', '.join(sizes + [name_of(model) for model in options.select])} on {named(options)}: {adata.n_obs:,} cells"
    )
    found = judge(adata, options, lists | selections(options, source), options.n_genes, **source)
    written = [] if out is None else _write(adata, out, found, draws=not options.no_figures)
    return Result(found | {"written": written})


def judge(
    adata: Any,
    options: argparse.Namespace,
    genes: Mapping[str, Any] | None,
    n_genes: int | list[int] | None,
    **source: Any,
) -> dict[str, Any]:
    """Evaluate the lists, or the repeated selection, print the metrics, and return their tables."""
    from smash_gpu import get, tl

    tl.evaluate(
        adata, options.groupby, genes=genes, n_genes=n_genes, missing=getattr(options, "missing", MISSING),
        classifier=options.classifier,
        protocol=options.protocol, n_splits=options.n_splits, n_seeds=options.n_seeds, n_random=options.n_random,
        thin=options.thin, dropout=options.dropout, degrade=dict(options.degrade) or None,
        intact_training=options.intact_training, structure=options.structure,
        random_state=options.random_state, **source,
    )  # fmt: skip
    table = get.comparison(adata)
    in_words = protocol(adata)
    print(f"\nProtocol {options.protocol}: {in_words}; mean [95 % interval]:")
    print(_side_by_side(table).to_string(index=False))
    print("In the tables of the paper, M is misclassification and F1 is f1_weighted. The interval covers other")
    print("cells (with --sample-key: samples) from the same population, not other tissues or platforms.")
    print("\nClasses that are confused most (mean of the shares in both directions, in %):")
    for name in table["genes"].unique():
        pairs = get.unresolved_pairs(adata, genes=name)[:WORST_PAIRS]
        worst = [f"{row.group} / {row.other} {100 * row.confusion:.1f}" for row in pairs.itertuples()]
        print(f"  {name}: " + (", ".join(worst) or "none"))
    return {"protocol": in_words, "comparison": table, "differences": get.differences(adata)}


def protocol(adata: Any) -> str:
    """How the last evaluation split the cells, in words."""
    from smash_gpu import evaluation, get
    from smash_gpu.annotated import slots

    n = get.evaluation_splits(adata)["split"].nunique()
    return evaluation.in_words(slots.recorded(adata, slots.KEY, "evaluation"), n)


def lists_of(paths: list[Path]) -> dict[str, list[Gene]]:
    """The lists by file name, or by full path if two files share a name."""
    stems = [path.stem for path in paths]
    names = [str(path) if stems.count(path.stem) > 1 else path.stem for path in paths]
    return {name: gene_list(path) for name, path in zip(names, paths, strict=True)}


def name_of(model: str | tuple[str, ...]) -> str:
    """What the selection by a model is called."""
    from smash_gpu.selection import several

    return f"selection by {several.in_words(model)}"


def selections(options: argparse.Namespace, source: Mapping[str, Any]) -> dict[str, Any]:
    """What ``--select`` names, as `tl.evaluate` takes it."""
    return {
        name_of(model): WILCOXON if model == WILCOXON else selection(model, options, source) for model in options.select
    }


def selection(model: str | tuple[str, ...], options: argparse.Namespace, source: Mapping[str, Any]) -> Callable:
    """A function from training cells and a number to genes: nested `tl.panel`, or `tl.smash` with ``model``."""

    def choose(cells: Any, n_genes: int) -> list[str]:
        from smash_gpu import get, tl
        from smash_gpu.io.lazy import OnDisk

        part = cells if isinstance(cells, OnDisk) else cells.to_memory()
        if model == PANEL:
            return design.designed(part, n_genes, options, source)
        tl.smash(part, options.groupby, model=model, random_state=options.random_state, **source)
        return get.marker_panel(part, n_genes)

    return choose


def _note_slides(options: argparse.Namespace) -> None:
    """Say that a whole slide does not begin with its best genes, if only the first are judged."""
    from smash_gpu.errors import warn

    for path in options.genes if options.n_genes else ():
        if _begins_with_printed(path):
            warn(
                f"{path} begins with the printed panel, in no order of preference, so that its first genes are not its "
                "best: panel.csv holds the chosen genes in their order."
            )


def _begins_with_printed(path: Path) -> bool:
    """Whether it is slide.csv or gene_panel.json of a panel that was added to a printed one, or a vendor's panel."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        if file.read(1) == "{":
            file.seek(0)
            return begins_with_base(json.load(file))
        file.seek(0)
        return next(csv.DictReader(file), {}).get("origin") == "existing"


def _side_by_side(table: Any) -> Any:
    """One row per case and one column per metric, ``mean [low, high]``; columns with one value are left out."""
    import pandas as pd

    from smash_gpu.evaluation.metrics import STRUCTURE
    from smash_gpu.evaluation.summary import CONDITION

    case = ["genes", "is_random", "classifier", "n_genes", *CONDITION]
    cells = [
        f"{row.mean:.3f}" + ("" if pd.isna(row.low) else f" [{row.low:.3f}, {row.high:.3f}]")
        for row in table[["mean", "low", "high"]].itertuples(index=False, name="Row")
    ]
    used = table.groupby(case, sort=False, dropna=False, observed=True)["n_used"].transform("first")
    wide = table.assign(value=cells, n_used=used).pivot_table(
        index=[*case, "n_used"], columns="metric", values="value", aggfunc="first", sort=False, observed=True
    )
    wide = wide[[name for name in (*PRINTED, *STRUCTURE) if name in wide]].reset_index().rename_axis(columns=None)
    counts = zip(wide["n_genes"], wide.pop("n_used"), strict=True)
    wide["n_genes"] = [n if n == m else f"{n} (has {m})" for n, m in counts]
    wide["genes"] = [f"random panels like {row.genes}" if row.is_random else row.genes for row in wide.itertuples()]
    same = [name for name in ("classifier", *CONDITION) if wide[name].nunique() == 1]
    return wide.drop(columns=["is_random", *same])


def _write(adata: Any, out: Path, found: Mapping[str, Any], *, draws: bool) -> list[Path]:
    from smash_gpu import get, pl

    out.mkdir(parents=True, exist_ok=True)
    lists = list(get.evaluation_splits(adata)["genes"].unique())
    tables = {
        "evaluation.csv": found["comparison"],
        "splits.csv": get.evaluation_splits(adata),
        "panels.csv": get.evaluation_panels(adata),
        "differences.csv": found["differences"],
        "groups.csv": _by_list(lists, lambda name: get.group_metrics(adata, genes=name)),
        "pairs.csv": _by_list(lists, lambda name: get.unresolved_pairs(adata, genes=name)),
        "confusion.csv": _by_list(
            lists, lambda name: get.confusion(adata, genes=name).stack().rename("cells").reset_index()
        ),
    }
    for name, table in tables.items():
        table.to_csv(out / name, index=False)
    save_params(adata, out)
    written = [*tables, "params.json", *["confusion.png"] * draws]
    if draws:
        save(pl.confusion(adata), out / "confusion.png")
    print(f"Written to {out}: {' '.join(written)}" + f" (of {lists[0]})" * draws)
    return [out / name for name in written]


def _by_list(lists: list[str], table_of: Any) -> Any:
    import pandas as pd

    return pd.concat([table_of(name).assign(genes=name) for name in lists], ignore_index=True)
