"""Markers of an example data set included in scanpy."""

from __future__ import annotations

import argparse

from smash_gpu.cli import arguments
from smash_gpu.cli.evaluate import judge
from smash_gpu.cli.find import find
from smash_gpu.cli.inputs import writable
from smash_gpu.cli.json_output import Result
from smash_gpu.cli.tune import use_tuned

PURPOSE = "find markers of an example data set included in scanpy"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu demo``."""
    arguments.add_selection(command)
    arguments.add_evaluation(command)


def run(options: argparse.Namespace) -> Result:
    """Find and evaluate markers of the ten blood cell types of scanpy's example data."""
    import scanpy

    out = writable(options.out)
    adata = scanpy.datasets.pbmc68k_reduced()
    options.groupby = "bulk_labels"
    use_tuned(adata, options)
    print(f"pbmc68k_reduced: {adata.n_obs} cells × {adata.n_vars} genes, log-normalised in .raw")
    found = find(adata, options, out, use_raw=True, normalize=False)
    print("Evaluation (selection repeated on the training cells of each split):")
    return Result(found | judge(adata, options, None, options.n_genes))
