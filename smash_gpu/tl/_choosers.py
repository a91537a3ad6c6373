"""Functions that choose genes, from a list, the last selection, or a function of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.features import gene_rows, only_genes
from smash_gpu.data.dataset import Dataset
from smash_gpu.genes.lists import Genes, listed
from smash_gpu.runtime.progress import without_lines
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
    from smash_gpu.selection.marker_panel import choose_panel

    slots.held(adata, "markers", key, f"tl.smash (or pass {instead})")
    if slots.recorded(adata, key, "within"):
        raise ValueError(
            f"a selection inside broad classes (within=) cannot be repeated on other cells; pass {instead}."
        )
    steps = {step: slots.recorded(adata, key, step) for step in STEPS}
    return choose_panel(Recipe.of(steps), n_genes)


def selected_panel(
    adata: AnnData, data: Dataset, where: Mapping[str, Any], n_genes: int, key: str
) -> np.ndarray | None:
    """What `repeated_selection` chooses on all of ``data``, from its slots; None if they are of others.

    Parameters
    ----------
    where
        From where ``data`` was read, as `slots.source` says it.
    """
    from smash_gpu.selection.marker_panel import marker_panel
    from smash_gpu.selection.steps import PROFILES, profiles_of

    of_genes = partial(only_genes, adata)
    is_same = where == slots.source(adata, key) and not slots.changes(adata, key, slots.SCORES)
    if not is_same or not {f"{key}_eligible", f"{key}_spare"} <= {*adata.varm}:
        return None
    kept = {name: of_genes(slots.profile(adata, name, key)) for name in PROFILES}
    if not all(np.array_equal(kept[name], now) for name, now in profiles_of(data.stats).items()):
        return None  # the values of the matrix are not the same
    eligible, spare = (of_genes(slots.eligible_scores(adata, key, spare=spare)) for spare in (False, True))
    return marker_panel(
        of_genes(slots.scores(adata, key)), eligible, spare, names=data.names, n_genes=n_genes, mean=kept["mean"],
        variance=kept["variance"], importance=of_genes(slots.importance(adata, key)), device=data.device,
    )  # fmt: skip


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
