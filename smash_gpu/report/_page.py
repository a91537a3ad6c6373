"""The page."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.report._data import describe_data, filter_rules
from smash_gpu.report._designed import designed_page
from smash_gpu.report._evaluation import CURVE, describe_evaluation
from smash_gpu.report._figures import figures as drawn_figures
from smash_gpu.report._markers import describe_markers
from smash_gpu.report._panel import DESIGNED, describe_panel, designed_columns, designed_notes, designed_tables
from smash_gpu.report._provenance import describe_provenance
from smash_gpu.report._render import render
from smash_gpu.report._results import Results
from smash_gpu.report._stability import describe_stability
from smash_gpu.report._structure import describe_structure
from smash_gpu.report._transfer import transfer_page
from smash_gpu.report._validation import validation_page
from smash_gpu.runtime.drawing import need_matplotlib


def write(
    adata: AnnData,
    path: str | Path,
    *,
    title: str | None = None,
    figures: bool = True,
    umap: bool = False,
    key: str = slots.KEY,
) -> None:
    """Write the results of `tl.smash`, `tl.panel` and later steps to one HTML file without other files.

    It holds the data and filters, the markers of each class with the evidence for each, the panel, all metrics on
    held-out cells with intervals, also for random panels, the learning curve, the results per class, the pairs of
    classes that are confused, how stable the panel is, and the parameters, versions and a fingerprint of the data.
    Results are read from the slots and the matrix; nothing is computed again. `tl.evaluate`, `tl.stability` and
    `tl.panel` are optional.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash`, or without it after `tl.panel` with its default ``key``: then a page on the
        panel, and on `tl.evaluate` if it has run.
    path
        The HTML file to write.
    title
        Heading; None for one that names the column of classes.
    figures
        Whether to draw; False needs no matplotlib.
    umap
        Whether to draw the UMAP of `pl.panel_umap` after `tl.panel`, which takes some time and needs scanpy.
    key
        Name of the slots.

    Returns
    -------
    None. Writes one file, UTF-8.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If neither `tl.smash` nor `tl.panel` has run yet.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", n_top=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     smg.report.write(adata, f"{folder}/report.html", figures=False)
    ...     pathlib.Path(folder, "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    True
    """
    Path(path).write_text(page(adata, title=title, figures=figures, umap=umap, key=key), encoding="utf-8")


def write_validation(
    adata: AnnData, path: str | Path, *, title: str | None = None, figures: bool = True, key: str = slots.VALIDATION
) -> None:
    """Write the results of `tl.validate` to one HTML file that needs no other file.

    Parameters
    ----------
    adata
        Annotated data after `tl.validate`.
    path
        The HTML file to write.
    title
        Heading; None for one that names the platform.
    figures
        Whether to draw; False needs no matplotlib.
    key
        Name of the slot.

    Returns
    -------
    None. Writes one file, UTF-8.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.validate` has not run yet.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> adata = smg.datasets.planted()
    >>> smg.tl.validate(adata, "cell_type", genes=["MARKER0X", "MARKER1X"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     smg.report.write_validation(adata, f"{folder}/list.html", figures=False)
    ...     "MARKER0X" in pathlib.Path(folder, "list.html").read_text(encoding="utf-8")
    True
    """
    Path(path).write_text(validation_page(adata, title, key, figures=figures), encoding="utf-8")


def write_transfer(
    adata: AnnData,
    path: str | Path,
    *,
    title: str | None = None,
    figures: bool = True,
    basis: str = "spatial",
    key: str = slots.TRANSFER,
) -> None:
    """Write the results of `tl.transfer` to one HTML file that needs no other file.

    It holds how well every list names the cells of the tissue, between random panels and all measured genes; recall and
    precision of each class beside those of all measured genes; the confusion matrix and the classes that are confused
    most; maps of the tissue; and the options.

    Parameters
    ----------
    adata
        The annotated tissue after `tl.transfer`.
    path
        The HTML file to write.
    title
        Heading; None for one that names the column of classes.
    figures
        Whether to draw; False needs no matplotlib.
    basis
        Name of the coordinates in ``.obsm`` for the maps, which are left out if there is none.
    key
        Name of the slots.

    Returns
    -------
    None. Writes one file, UTF-8.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If `tl.transfer` has not run yet.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> reference, tissue = smg.datasets.planted(), smg.datasets.planted()
    >>> smg.tl.transfer(reference, tissue, "cell_type", genes=["MARKER0X", "MARKER1X"], n_random=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     smg.report.write_transfer(tissue, f"{folder}/tissue.html", figures=False)
    ...     "all measured genes" in pathlib.Path(folder, "tissue.html").read_text(encoding="utf-8")
    True
    """
    Path(path).write_text(transfer_page(adata, title, key, figures=figures, basis=basis), encoding="utf-8")


def page(
    adata: AnnData, *, title: str | None = None, figures: bool = True, umap: bool = False, key: str = slots.KEY
) -> str:
    """The text of the HTML file that `write` writes.

    Parameters
    ----------
    adata
        Annotated data after `tl.smash`, or without it after `tl.panel` with its default ``key``: then a page on the
        panel, and on `tl.evaluate` if it has run.
    title
        Heading; None for one that names the column of classes.
    figures
        Whether to draw; False needs no matplotlib.
    umap
        Whether to draw the UMAP of `pl.panel_umap` after `tl.panel`, which takes some time and needs scanpy.
    key
        Name of the slots.

    Returns
    -------
    HTML; it needs no other file and no network.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If neither `tl.smash` nor `tl.panel` has run yet.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.smash(adata, "cell_type", n_top=3)
    >>> "MARKER0X" in smg.report.page(adata, title="Planted markers", figures=False)
    True
    """
    if figures:
        need_matplotlib("figures=False")
    if DESIGNED in adata.uns and "markers" not in adata.uns.get(key, {}):
        return designed_page(adata, title, key, figures=figures, umap=umap)
    slots.require(adata, "markers", key, "tl.smash")
    results = Results(adata, key, figures, umap)
    markers, evaluation, designed = describe_markers(results), describe_evaluation(results), designed_tables(adata)
    structure = describe_structure(results)
    return render(
        "report.html",
        title=title or f"Marker genes of {results.source['groupby']}",
        results=results,
        changed=results.changed,
        data=describe_data(results),
        rules=filter_rules(results),
        markers=markers,
        panel=describe_panel(results),
        evaluation=evaluation,
        curve_metrics=CURVE,
        structure=structure,
        stability=describe_stability(results),
        designed=designed,
        designed_columns=designed_columns(adata),
        designed_notes=designed_notes(adata),
        provenance=describe_provenance(results),
        figures=drawn_figures(results, markers, evaluation, designed, structure=structure),
    )
