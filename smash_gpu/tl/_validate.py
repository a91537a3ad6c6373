"""Is a list of genes ready to be ordered?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.ensembl import with_ids
from smash_gpu.annotated.features import only_genes
from smash_gpu.annotated.source import Source
from smash_gpu.genes.lists import POLICIES, Genes, IdTable, entries, listed
from smash_gpu.panel import Request, availability, validation
from smash_gpu.panel.constraints import Genes as KnownGenes
from smash_gpu.panel.expression import with_levels
from smash_gpu.panel.finding import FAIL, WARN
from smash_gpu.panel.fitting import fitted, not_applied
from smash_gpu.panel.order import Order, expression_of
from smash_gpu.panel.platforms import platform_of
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.runtime.words import not_one_of
from smash_gpu.tl import _summaries
from smash_gpu.tl._design import columns_of, read_levels, without_labels_as_keys

Window = tuple[float | None, float | None]


def validate(
    adata: AnnData,
    groupby: str | Sequence[str],
    *,
    genes: Genes,
    platform: str | Path | None = None,
    extend: Genes = (),
    unavailable: Genes = (),
    missing: str = "raise",
    exclude_families: Iterable[str] = Request.exclude_families,
    species: str = Request.species,
    mean_counts: Window | None = None,
    max_counts: Window | None = None,
    max_transcripts: float | Mapping[str, float] | None = None,
    probe_sets: tuple[int | str, int | str] | None = None,
    limits: Mapping[str, Window] | None = None,
    length_key: str | None = None,
    ensembl_key: str | None = None,
    ensembl_table: IdTable | None = None,
    layer: str | None = Source.layer,
    use_raw: bool = Source.use_raw,
    normalize: bool | None = Source.normalize,
    gene_symbols: str | None = Source.gene_symbols,
    min_cells: int | None = Source.min_cells,
    device: str = Source.device,
    memory: int | str | None = None,
    key: str = slots.VALIDATION,
) -> None:
    """Check a list of genes before it is ordered: names, ids, duplicates, families, availability, size, limits.

    Every check passes, warns, fails, or says why it was not made. What no source and no option limits is not checked.

    Parameters
    ----------
    adata
        Annotated cells × genes to compare the list with; raw counts unless ``normalize=False``.
    groupby
        Column of ``adata.obs`` with the classes, or several.
    genes
        The list: names, symbols or Ensembl ids, a table, or the ``pathlib.Path`` of a file, as ``include`` of
        `tl.panel`. Of a table with a column "probe sets" these are checked, too.
    platform
        Imaging platform with its public limits, as in `tl.panel`.
    extend
        A printed panel that the list is added to: it counts for size and crowding.
    unavailable
        Genes that cannot be ordered, such as the ``pathlib.Path`` of a vendor's list of genes without probes.
    missing
        What genes are that the data lack: "raise", a failure; "warn", a warning, for targets that no data can hold.
    exclude_families, species
        Gene families that are a warning, and the species whose names they have, as in `tl.panel`.
    mean_counts, max_counts, max_transcripts, probe_sets, limits, length_key
        Limits as in `tl.panel`; they take the place of those of the platform.
    ensembl_key, ensembl_table
        Column of ``adata.var`` with Ensembl ids, and ids by symbol for genes without one there, as in `export.xenium`.
    layer, use_raw, normalize, gene_symbols, min_cells
        Which matrix to read, whether it holds raw counts, the column of ``adata.var`` with gene symbols, and the size
        of the smallest class, as in `tl.panel`.
    device, memory
        "auto", "cpu" or "cuda", and the most memory of the whole process; as in `pp.filter_genes`.
    key
        Name of the slot.

    Returns
    -------
    None. Fills ``.uns["smash_validation"]``, read by `get.validation`:

    * ``checks``: check, verdict ("pass", "warn", "fail" or "not checked"), detail, genes;
    * ``genes``: one row per gene of the list: name, symbol and id in the data, mean counts per cell over all cells and
      in the class with the most, and the checks that it does not pass;
    * ``crowding``: transcripts per cell of the list and the printed panel together in each class, and the limit; a gene
      with p of the most P probe sets (of ``probe_sets``, else of the platform) counts p / P, as in `tl.panel`;
    * ``platform``: its numbers, their sources, and how each was used.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column, layer or class is not in the data.
    ValueError, TypeError
        If an option or the input cannot be used.

    References
    ----------
    The checks are those of 10x Genomics' page "Xenium Panel Design Concepts and Terms"; `smash_gpu.platforms` names the
    source of every limit.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.validate(adata, "cell_type", genes=["MARKER0X", "MARKER1X", "MARKER1X"], platform="xenium_v1")
    >>> checks = smg.get.validation(adata)
    >>> checks.loc[checks["verdict"] == "fail", "check"].tolist()
    ['duplicates']
    """
    slots.require_storable(key)
    if missing not in POLICIES:
        raise ValueError(not_one_of("missing", missing, POLICIES))
    limited = {
        "mean_counts": mean_counts, "max_counts": max_counts, "max_transcripts": max_transcripts, "limits": limits,
        "probe_sets": probe_sets, "exclude_families": exclude_families, "species": species,
    }  # fmt: skip
    source = Source(
        layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols, min_cells=min_cells, device=device
    )
    request, preset = Request.of(limited), None if platform is None else platform_of(platform)
    named, printed, columns = entries(genes, "genes"), listed(extend, "extend"), columns_of(groupby)
    with limit(memory):
        data, levels = read_levels(adata, columns, source)
        data = with_ids(adata, data, key=ensembl_key, table=ensembl_table)
        var = with_levels(
            only_genes(adata, adata.var), data, {*request.limits, *(preset.numbers if preset is not None else ())}
        )
        expressed = expression_of(data, levels)
        request, table = fitted(
            preset, request, var.columns, length_key=length_key, why_no_counts=expressed.why_no_counts
        )
        known = KnownGenes(data.names, data.symbols, data.ids, data.aliases, var)
        order = Order(
            named, known, expressed, request, preset,
            existing=availability.existing(Request(extend=printed), known),
            n_absent=len(known.absent(printed, "extend")),
            unavailable=listed(unavailable, "unavailable") or None,
            absent_is=FAIL if missing == "raise" else WARN,
            not_applied=not_applied(table),
        )  # fmt: skip
    noted = (
        {name: getattr(request, name) for name in limited}
        | vars(source)
        | {"platform": None if preset is None else preset.name, "length_key": length_key}
    )
    adata.uns[key] = _tables(order) | {"platform": table}
    slots.record(adata, key, "validation", without_labels_as_keys(noted))
    slots.note_origin(adata, key, slots.VALIDATED, {}, *columns)
    say(_summaries.of_validation(adata.uns[key]["checks"]))


def _tables(order: Order) -> dict[str, pd.DataFrame]:
    findings = validation.check(order)
    found = {"checks": validation.check_table(findings), "genes": validation.gene_table(order, findings)}
    return found | {"crowding": order.crowding}
