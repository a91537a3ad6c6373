"""Functions that choose genes, from a list, the last selection, or a function of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import signature

import numpy as np
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.features import gene_rows
from smash_gpu.data.dataset import Dataset
from smash_gpu.genes.lists import Genes, listed
from smash_gpu.runtime.progress import without_lines
from smash_gpu.selection.marker_panel import choose_panel
from smash_gpu.selection.options import STEPS, Recipe

Choose = Callable[[Dataset], np.ndarray]
OwnFunction = Callable[[AnnData, int], Iterable[str]]


def numbers(wanted: Genes, data: Dataset, what: str, *, missing: str = "raise") -> np.ndarray:
    """Numbers of the genes of a list, in its order, none twice; see `GeneNames.numbers`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a gene is absent (with ``missing="warn"`` if all are), if the list is one string, if it is empty.
    """
    genes = listed(wanted, what)
    if not genes:
        raise ValueError(f"{what}: the list of genes is empty.")
    if not any(map(data.gene_names.all_of, genes)):
        raise data.gene_names.not_found(genes, what)
    return data.gene_names.numbers(genes, what, missing=missing)


def given(data: Dataset, wanted: Genes, what: str, *, missing: str) -> Choose:
    """The same genes for all cells."""
    index = numbers(wanted, data, what, missing=missing)
    return lambda _: index


def repeated_selection(adata: AnnData, n_genes: int, key: str, instead: str) -> Choose:
    """The selection of the last `tl.smash`, repeated on other cells.

    Parameters
    ----------
    instead
        The option that replaces it, for errors.

    Raises
    ------
    smash_gpu.errors.NotFoundError, ValueError
        If there was none, or it cannot be repeated.
    """
    slots.held(adata, "markers", key, f"tl.smash (or pass {instead})")
    if slots.recorded(adata, key, "within"):
        raise ValueError(
            f"a selection inside broad classes (within=) cannot be repeated on other cells; pass {instead}."
        )
    steps = {step: slots.recorded(adata, key, step) for step in STEPS}
    return choose_panel(Recipe.of(steps), n_genes)


def _require_two_arguments(choose: OwnFunction, what: str) -> None:
    try:
        taken = signature(choose)
    except ValueError:  # one in C, which does not say
        return
    try:
        taken.bind(None, 0)
    except TypeError:
        raise TypeError(
            f"{what}: the function takes {taken}, but it is called with two values, the annotated training cells and "
            "the number of genes: def choose(adata, n_genes)."
        ) from None


def own(adata: AnnData, choose: OwnFunction, n_genes: int, what: str) -> Choose:
    """A user's function from annotated cells and a number to that many gene names, best first.

    Raises
    ------
    TypeError
        If it does not take these two.
    ValueError
        When it is called and returns fewer genes.
    """
    _require_two_arguments(choose, what)

    def chosen(data: Dataset) -> np.ndarray:
        data.known.check(data.matrix, data.device)
        with without_lines():  # as many as there are splits
            wanted = choose(_genes_of(adata, data), n_genes)
        found = numbers(wanted, replace(data, symbols=data.names, ids=None), what)
        if len(found) < n_genes:
            raise ValueError(f"{what} returned {len(found)} different genes; {n_genes} are needed.")
        return found[:n_genes]

    return chosen


def _genes_of(adata: AnnData, data: Dataset) -> AnnData:
    """The annotated cells of ``data``, without features that are no genes."""
    rows = gene_rows(adata)
    return adata[data.cells] if rows is None else adata[data.cells, rows]
