"""How ``--help`` of a command is set out: its usage in a line, options in groups, examples at the end."""

from __future__ import annotations

import argparse

GROUPS = {  # the heading → options, by the names that hold their values; those of no group come first
    "cells": ("data", "groupby", "layer", "use_raw", "normalize", "gene_symbols", "min_cells", "sample_key",
              "batch_key"),
    "tissue": ("tissue_groupby", "mapping", "tissue_mapping", "tissue_layer", "tissue_use_raw", "tissue_normalize",
               "tissue_gene_symbols"),
    "genes in and out": ("include", "extend", "exclude", "keep", "wanted", "spare", "unavailable", "off_target",
                         "max_off_target", "exclude_families", "species", "mask_var"),
    "limits of the experiment": ("platform", "mean_counts", "max_counts", "max_transcripts", "probe_sets", "limit",
                                 "transcript_lengths", "length_key", "gene_table", "quota", "cost_key", "budget",
                                 "failure_rate"),
    "classes and weights": ("column_weights", "ignore", "pair_weights", "prior", "weights", "weight_key",
                            "sample_fraction", "variation", "variation_target", "tune"),
    "model": ("model", "tuned", "paper", "inverse_pca", "max_cells", "n_models", "n_trials", "timeout"),
    "markers": ("n_top", "within", "unique", "positive_only", "min_markers", "min_log2_fold_change",
                "min_fraction_difference", "near_highest"),
    "evaluation": ("genes", "select", "missing", "classifier", "protocol", "n_splits", "n_seeds", "n_random", "thin",
                   "dropout", "degrade", "intact_training", "structure", "n_resamples", "n_substitutes", "panel"),
    "computing": ("device", "memory", "work", "random_state"),
    "output": ("out", "json", "title", "tables", "no_figures", "umap", "basis", "again", "format", "ensembl_key",
               "ensembl_table", "probe_sets_key", "forced", "xenium_reference"),
}  # fmt: skip
EXAMPLES = {  # atlas.h5ad: annotated cells, raw counts in X
    "demo": ("demo --out demo",),
    "find": (
        "find atlas.h5ad --groupby cell_type --out markers",
        "find atlas.h5ad --groupby cell_type --model dnn,xgboost --layer counts --sample-key donor --out markers",
    ),
    "panel": (
        "panel atlas.h5ad --groupby cell_type --n-genes 100 --out design",
        "panel atlas.h5ad --groupby cell_type --platform xenium_v1 --extend printed.csv --out design",
    ),
    "validate": (
        "validate design",
        "validate genes.csv --reference atlas.h5ad --groupby cell_type --platform xenium_v1 --out check.html",
    ),
    "export": ("export design --format xenium --out xenium.csv --ensembl-key gene_ids",),
    "platforms": ("platforms", "platforms xenium_v1 --json"),
    "evaluate": (
        "evaluate atlas.h5ad --groupby cell_type --genes mine.csv theirs.csv --n-genes 20 50 100",
        "evaluate atlas.h5ad --groupby cell_type --select rf panel wilcoxon --sample-key donor --out judged",
    ),
    "stability": (
        "stability atlas.h5ad --groupby cell_type --n-genes 50 --out stable",
        "stability atlas.h5ad --groupby cell_type --panel --sample-key donor --out stable",
    ),
    "transfer": (
        "transfer tissue.h5ad --reference atlas.h5ad --groupby cell_type --genes design/panel.csv --out maps",
    ),
    "tune": ("tune atlas.h5ad --groupby cell_type --model xgboost --n-trials 40 --work trials --out tuned",),
    "report": ("report atlas.h5ad --groupby cell_type --out report.html",),
    "check": ("check",),
}


def set_out(command: argparse.ArgumentParser, name: str) -> None:
    """Move the options of a command into their groups, and add its usage and examples."""
    options = command._optionals._group_actions
    for title, names in GROUPS.items():
        mine = sorted((a for a in options if a.dest in names), key=lambda a: names.index(a.dest))
        if mine:
            group = command.add_argument_group(title)
            group._group_actions.extend(mine)
            options[:] = [action for action in options if action not in mine]
    needed = [a for a in command._actions if not a.option_strings] + [a for a in command._actions if a.required]
    words = [*dict.fromkeys(map(_as_typed, needed)), "[options]"]
    command.usage = " ".join([command.prog, *words])
    lines = "\n".join(f"  {command.prog.partition(' ')[0]} {example}" for example in EXAMPLES[name])
    command.epilog = f"example{'s' if len(EXAMPLES[name]) > 1 else ''}:\n{lines}"


def _as_typed(action: argparse.Action) -> str:
    """An argument with its placeholder."""
    value = str(action.metavar or action.dest.upper())
    value = {"+": f"{value} [{value} ...]", "*": f"[{value} ...]"}.get(str(action.nargs), value)
    return f"{action.option_strings[0]} {value}" if action.option_strings else value
