"""Judge a list of genes."""

from __future__ import annotations

import argparse
from typing import Any

from smash_gpu.cli import arguments
from smash_gpu.cli.files import gene_list, open_data, save, writable

PURPOSE = "judge a list of genes"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu evaluate``."""
    arguments.add_source(command)
    arguments.add_evaluation(command, given=True)


def run(options: argparse.Namespace) -> None:
    """Judge a list of genes."""
    out = writable(options.out)
    genes = gene_list(options.genes)
    adata, source = open_data(options)
    print(f"{len(genes)} genes of {options.genes} on {options.data}: {adata.n_obs:,} cells")
    table = judge(adata, options, genes, **source)
    if out is not None:
        from smash_gpu import get, pl

        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "evaluation.csv")
        get.confusion(adata).to_csv(out / "confusion.csv")
        save(pl.confusion(adata), out / "confusion.png")
        print(f"Written to {out}: evaluation.csv confusion.csv confusion.png")


def judge(adata: Any, options: argparse.Namespace, genes: list[str] | None, **source: Any) -> Any:
    """Evaluate ``genes``, or the repeated selection, and print the readings."""
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
