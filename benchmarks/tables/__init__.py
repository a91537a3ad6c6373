"""Every table of the site and of the README that is made from JSON lines, and the page it stands in.

``python -m benchmarks tables`` writes all of them, each between its two marks. To add one, write a function without
arguments that returns Markdown, add it to `PAGES`, and put its marks into the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import forests, gpu_table, paper, quality_table, record, two_steps
from benchmarks.tables import device, files, kernels, panels, short, speed, structure

DOCS = record.README.parent / "docs"
LINES = record.RESULTS
Table = Callable[[], str]
PAGES: dict[Path, dict[str, Table]] = {
    record.README: {"results": short.panels, "GPU results": lambda: gpu_table.sentence(LINES / "gpu.jsonl")},
    quality_table.PAGE: {
        quality_table.MODELS: lambda: quality_table.of_models(LINES / "quality.jsonl"),
        quality_table.OTHERS: lambda: quality_table.of_others(LINES / "quality.jsonl"),
        quality_table.INVERSE_PCA: lambda: quality_table.with_inverse_pca(LINES / "inverse_pca_quality.jsonl"),
        forests.BALANCED: lambda: forests.table(LINES / "forests.jsonl", list(forests.JUDGED)),
        "two forests": panels.two_forests,
        "cells per tree": panels.cells_per_tree,
        "nested panels": panels.modes,
        "probe sets": panels.probe_sets,
        "rule of probe sets": panels.rule_of_probe_sets,
        "panel on top of a panel": panels.example,
        "tuning": panels.tuning,
        "settings of small panels": structure.settings,
        "types and structure": structure.lists,
        "weights of the variation": structure.weights,
        "noise of the variation": structure.noise,
        "group lasso, accuracy": lambda: panels.group_lasso(0),
        "group lasso, agreement": lambda: panels.group_lasso(1),
        "early stopping": panels.early_stopping,
        "shorter training": panels.shorter_training,
        "factors of the scores": panels.factors,
    },
    DOCS / "benchmarks" / "paper.md": {
        "the paper's tables": lambda: paper.table(LINES / "paper.jsonl") + "\n",
        "one step or two": lambda: two_steps.of_steps(LINES / "two_steps.jsonl"),
        "conditions": lambda: two_steps.of_conditions(LINES / "two_steps.jsonl"),
    },
    DOCS / "benchmarks" / "speed.md": {
        "the command": speed.command,
        "the command beside a busy process": speed.busy,
        "memory": speed.memory,
        "commands that judge": speed.judging,
        "start": speed.start,
        "DeepLIFT": speed.deeplift,
        "XGBoost": speed.xgboost,
        "inverse PCA, time": speed.inverse_pca,
        "loops": speed.loops,
        "time of the variation": speed.variation,
        "a thousand classes": speed.thousand_classes,
        "a thousand genes": speed.thousand_genes,
        "metrics of Spapros": speed.spapros,
    },
    DOCS / "benchmarks" / "atlas.md": {
        "from file to markers": files.selecting,
        "reading": files.reading,
        "on paper": files.on_paper,
    },
    gpu_table.PAGE: {
        gpu_table.NAME: lambda: gpu_table.table(LINES / "gpu.jsonl"),
        "code of the kernels": kernels.code,
        "zeros on their way": kernels.variants,
        "searches for tiles": kernels.searches,
        "depth of cuML's forest": device.depth,
        "step of the network": device.steps,
        "rounds of XGBoost": device.rounds,
        "markers of forests": device.markers,
    },
    DOCS / "concepts" / "evaluation.md": {"tissues": panels.tissues},
    DOCS / "which-model.md": {"consensus": panels.consensus, "agreement": panels.agreement},
}


def main(arguments: list[str]) -> None:
    """Write the tables of all pages, and the figure of types against structure."""
    argparse.ArgumentParser(prog="python -m benchmarks tables").parse_args(arguments)
    for page, tables in PAGES.items():
        record.put(page, {name: make() for name, make in tables.items()})
    structure.draw()
