"""How well genes chosen on a reference name the cells of a tissue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import of_transfer, slots
from smash_gpu.annotated.labels import labels
from smash_gpu.annotated.read import read, read_all
from smash_gpu.annotated.source import EARLIER, Earlier, Source, require_annotated
from smash_gpu.compute.xp import namespace
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.standardize import in_parts
from smash_gpu.errors import NotFoundError, warn
from smash_gpu.evaluation import transfer as transferring
from smash_gpu.evaluation.classifiers import check
from smash_gpu.evaluation.judging import Transferring
from smash_gpu.evaluation.transfer import ALL, UNKNOWN, Side
from smash_gpu.genes.lists import MISSING
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.runtime.words import did_you_mean, join_names
from smash_gpu.tl import _summaries
from smash_gpu.tl._lists import Wanted, at_least_none, choosers_of, named, sizes_of

Mapped = Mapping[str, str] | None


def transfer(
    reference: AnnData,
    tissue: AnnData,
    groupby: str,
    *,
    genes: Wanted | Mapping[str, Wanted] = None,
    n_genes: int | Iterable[int] | None = None,
    mapping: Mapped = None,
    tissue_groupby: str | None = None,
    tissue_mapping: Mapped = None,
    missing: str = MISSING,
    classifier: str | Iterable[str] = Transferring.classifiers,
    n_random: int = Transferring.n_random,
    random_state: int = Transferring.random_state,
    layer: str | None | Earlier = EARLIER,
    use_raw: bool | Earlier = EARLIER,
    normalize: bool | None | Earlier = EARLIER,
    gene_symbols: str | None | Earlier = EARLIER,
    min_cells: int | None | Earlier = EARLIER,
    device: str | Earlier = EARLIER,
    tissue_layer: str | None = Source.layer,
    tissue_use_raw: bool = Source.use_raw,
    tissue_normalize: bool | None = Source.normalize,
    tissue_gene_symbols: str | None = Source.gene_symbols,
    memory: int | str | None = None,
    key: str = slots.TRANSFER,
) -> None:
    """Choose genes on a reference, learn its classes from them, and give every cell of a tissue a class.

    Only genes that both data sets have are chosen or used. Each data set is scaled by its own means and standard
    deviations (z-scores), which takes out what a platform does to a gene as a whole. The tissue takes no part in
    anything else, so nothing leaks.

    Parameters
    ----------
    reference
        Annotated cells × genes to choose and learn on, after `tl.smash` unless ``genes`` is given.
    tissue
        Annotated cells × genes measured in tissue.
    groupby
        Column of ``reference.obs`` with the classes that genes are chosen for.
    genes
        As in `tl.evaluate`: None, the selection of the last `tl.smash`, repeated; a list; a function of (annotated
        cells, number of genes); "wilcoxon"; or a mapping from names to any of these. Selections and functions see the
        genes that both data sets have, scaled to 10,000 counts of these.
    n_genes
        Length, or several lengths, of the prefixes that are judged, as in `tl.evaluate`.
    mapping
        Common class of labels of the reference: the classifier learns it. A label that is not in it stays as it is.
    tissue_groupby
        Column of ``tissue.obs`` with the labels to compare with; None: ``groupby``.
    tissue_mapping
        Common class of labels of the tissue. Cells whose class the reference lacks, and cells without a label, are
        given a class but not judged; a warning names them.
    missing
        What genes of a list are that one of the data sets lacks: "warn", left out with a warning that names them;
        "raise", an error.
    classifier
        "knn", "logreg", "forest", or several, as in `tl.evaluate`.
    n_random
        Random panels for each list, of the same size and matched in mean expression in the reference.
    random_state
        Seed of the random panels and of the forest.
    layer, use_raw, normalize, gene_symbols, min_cells, device
        Where expression and cells of the reference come from, as in `pp.filter_genes`; ``device`` is that of both.
        Options left out are taken from the earlier step.
    tissue_layer, tissue_use_raw, tissue_normalize, tissue_gene_symbols
        The same of the tissue. ``tissue_normalize``: None, counts or values by volume, which are scaled so that a cell
        has as much in total as the same genes have of 10,000 counts in the reference, then log1p; True, the same, also
        if they look like logarithms; False, taken as they are.
    memory
        Most memory of the whole process during this call, as in `pp.filter_genes`.
    key
        Name of the slots.

    Returns
    -------
    None. Fills of ``tissue``: ``.obs["smash_transfer"]`` (class by the first list, at its largest size, by the first
    classifier), ``.obs["smash_transfer_true"]`` (the label in common classes; missing where it is not judged),
    ``.obsm["smash_transfer"]`` (class numbers of every list, cells × cases, int32), and ``.uns["smash_transfer"]``: the
    metrics, confusion matrices and genes. Read them by `get.transfer`; `pl.transfer_map` draws them.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column, layer, label or gene is not in the data, or neither ``genes`` is given nor `tl.smash` has run.
    ValueError
        If an option cannot be used, the two data sets share no gene, or no cell of the tissue can be judged.

    References
    ----------
    Selection on dissociated cells, judged on cells of a tissue, as in Kuemmerle et al., Nature Methods 2024 (Spapros).
    The cut of the z-scores at 10 and the classifiers are those of `tl.evaluate`.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> reference, tissue = smg.datasets.planted(), smg.datasets.planted()
    >>> smg.tl.transfer(reference, tissue, "cell_type", genes=["MARKER0X", "MARKER1X", "MARKER2X"])
    >>> table = smg.get.transfer(tissue)
    >>> bool((table["random"] < table["balanced_accuracy"]).all())
    True
    """
    require_annotated(tissue)
    slots.require_storable(key)
    how = tuple([classifier] if isinstance(classifier, str) else classifier)
    for name in how:
        check(name)
    where = slots.source(
        reference, slots.KEY, groupby=groupby, layer=layer, use_raw=use_raw, normalize=normalize,
        gene_symbols=gene_symbols, min_cells=min_cells, sample_key=None, batch_key=None, device=device,
    )  # fmt: skip
    there = {
        "layer": tissue_layer, "use_raw": tissue_use_raw, "normalize": tissue_normalize,
        "gene_symbols": tissue_gene_symbols, "device": where["device"],
    }  # fmt: skip
    column = groupby if tissue_groupby is None else tissue_groupby
    with limit(memory):
        data, measured = read(reference, where), read_all(tissue, there)
        settings = Transferring(how, sizes_of(n_genes), at_least_none(n_random), random_state, data.device)
        here, in_tissue = data.gene_names.shared_with(measured.gene_names)
        if not len(here):
            raise data.gene_names.not_found([str(name) for name in measured.names[:3]], "reference, of the tissue")
        part = reference[:, reference.var_names.astype(str).isin(data.names[here].astype(str))]
        lists = _chosen(part, read(part, where), genes, settings.n_genes, missing=missing)
        classes, codes = _classes(data, mapping)
        true, not_judged = _true(tissue, column, tissue_mapping, classes)
        own = data.expression(here)
        measured = _scaled_alike(measured, own)
        sides = Side(own, codes), Side(measured.expression(in_tissue), true)
        found = transferring.transfer(*sides, lists, names=data.names[here], n_classes=len(classes), how=settings)
    options = where | {
        "mapping": _pairs(mapping), "tissue_mapping": _pairs(tissue_mapping), "tissue_groupby": column,
        "genes": tuple(lists), "n_genes": settings.n_genes or None, "missing": missing, "classifier": how,
        "n_random": n_random, "random_state": random_state, "n_shared": len(here),
        "tissue_target_sum": measured.target_sum,
    } | {f"tissue_{name}": value for name, value in there.items()}  # fmt: skip
    panels = _panels(lists, data.names[here])
    of_transfer.write(
        tissue, found, classes=classes, true=true, panels=panels, not_judged=not_judged, options=options, key=key
    )
    say(_summaries.of_transfer(found.table))


def _chosen(
    part: AnnData, data: Dataset, genes: Wanted | Mapping[str, Wanted], sizes: tuple[int, ...], *, missing: str
) -> dict[str, np.ndarray]:
    """Ordered numbers of the shared genes, by the name of the list."""
    if ALL in named(genes):
        raise ValueError(f"genes: {ALL!r} is the name of the ceiling; call the list something else.")
    choosers = choosers_of(part, data, genes, sizes, missing=missing, key=slots.KEY)
    return {name: np.asarray(choose(data)) for name, choose in choosers.items()}


def _scaled_alike(measured: Dataset, own: Any) -> Dataset:
    """The tissue with a total of counts per cell as the same genes have in the reference: logarithms then compare."""
    if measured.target_sum is None:
        return measured
    xp = namespace(own)
    totals = [xp.expm1(part).sum(axis=1, dtype=np.float64) for part, _ in in_parts(own, None)]
    return replace(measured, target_sum=float(xp.concatenate(totals).mean()))


def _classes(data: Dataset, mapping: Mapped) -> tuple[np.ndarray, np.ndarray]:
    """Names of the classes that are learned, and the class of each cell of the reference."""
    common = _mapped(data.groups, mapping, "mapping")
    classes, number = np.unique(common.astype(str), return_inverse=True)
    return classes.astype(object), number[data.labels]


def _true(tissue: AnnData, column: str, mapping: Mapped, classes: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Class of each cell of the tissue, −1 where it is not judged, and what is not judged in words."""
    given = labels(tissue, column)
    names = given.cat.categories.astype(str).to_numpy(dtype=object)
    common = _mapped(names, mapping, "tissue_mapping")
    number = {name: code for code, name in enumerate(classes)}
    of_label = np.array([number.get(name, UNKNOWN) for name in common] + [UNKNOWN])
    codes = of_label[given.cat.codes.to_numpy()]
    if (codes == UNKNOWN).all():
        raise ValueError(
            f"no label of {column!r} in the tissue is a class of the reference: {join_names(common)}; the classes are "
            f"{join_names(classes)}. Pass mapping= and tissue_mapping= from labels to common classes."
        )
    sizes = np.bincount(given.cat.codes[given.cat.codes >= 0], minlength=len(names))
    out = [f"{name} ({sizes[code]:,})" for code, name in enumerate(names) if of_label[code] == UNKNOWN]
    if out:
        warn(
            f"{int((codes == UNKNOWN).sum()):,} of {len(codes):,} cells are not judged, because the reference has no "
            f"such class: {join_names(out)}."
        )
    return codes, out


def _mapped(names: np.ndarray, mapping: Mapped, what: str) -> np.ndarray:
    wrong = [label for label in mapping or {} if str(label) not in set(map(str, names))]
    if wrong:
        near = did_you_mean(str(wrong[0]), map(str, names))
        raise NotFoundError(f"{what}: {wrong[0]!r} is not a label.{near} Labels: {join_names(names)}.")
    common = {str(label): str(name) for label, name in (mapping or {}).items()}
    return np.array([common.get(str(name), str(name)) for name in names], dtype=object)


def _pairs(mapping: Mapped) -> tuple[str, ...]:
    """A mapping as texts, since a label may be no key of a file."""
    return tuple(f"{label} → {name}" for label, name in (mapping or {}).items())


def _panels(lists: Mapping[str, np.ndarray], names: np.ndarray) -> pd.DataFrame:
    rows = [(name, rank, names[gene]) for name, order in lists.items() for rank, gene in enumerate(order, 1)]
    return pd.DataFrame(rows, columns=["genes", "rank", "name"])
