"""Exactly N genes for all classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from anndata import AnnData

from smash_gpu import panel as design
from smash_gpu.annotated import slots
from smash_gpu.annotated.read import groups_of, read
from smash_gpu.annotated.source import Source, takes_source
from smash_gpu.data.splits import MIN_SAMPLE_FRACTION
from smash_gpu.data.stages import Work
from smash_gpu.errors import NotFoundError, warn
from smash_gpu.panel.adjust import MIN_CELLS_PER_SAMPLE
from smash_gpu.panel.tables import tables

N_GENES = 100


@takes_source
def panel(
    adata: AnnData,
    groupby: str | Sequence[str] | Mapping[str, float],
    *,
    n_genes: int = N_GENES,
    nested: bool = False,
    include: Iterable[str] = (),
    extend: Iterable[str] = (),
    exclude: Iterable[str] = (),
    priorities: Mapping[str, str] | None = None,
    mask_var: str | None = None,
    mean_counts: tuple[float | None, float | None] | None = None,
    max_counts: tuple[float | None, float | None] | None = None,
    limits: Mapping[str, tuple[float | None, float | None]] | None = None,
    weight_key: str | None = None,
    cost_key: str | None = None,
    budget: float | None = None,
    max_transcripts: float | Mapping[str, float] | None = None,
    positive_only: bool = False,
    min_markers: int | Mapping[str, int] = 0,
    ignore: Iterable[str] = (),
    class_weights: Mapping[str, float] | None = None,
    pair_weights: Mapping[tuple[str, str], float] | None = None,
    prior: float = 0.0,
    tau: float | None = None,
    sample_fraction: float = MIN_SAMPLE_FRACTION,
    min_cells_per_sample: int = MIN_CELLS_PER_SAMPLE,
    work: str | Path | Work | None = None,
    key: str = slots.PANEL,
    **source: Unpack[Source],
) -> None:
    """Choose exactly ``n_genes`` genes that together tell all classes apart, within the limits of an experiment.

    For classes a, b and gene g, from means m and variances v of log-normalised expression, the separation is ``s_g(a,
    b) = (m_ag − m_bg)² / (v_ag + v_bg + 0.05)``; for a panel S ``D_ab = Σ_{g ∈ S} s_g(a, b)``, and ``F(S) = Σ_ab w_ab
    (1 − exp(−D_ab / τ))`` is maximised greedily: gene by gene, so that the order is one of importance. F is monotone
    and submodular: without caps the panel reaches at least 1 − 1/e = 63 % of the best F there is; how much it reaches
    in fact is reported. One pass over the cells; the same panel on every machine, equal gains by name.

    Parameters
    ----------
    groupby
        Column of ``adata.obs`` with the classes, or several in one budget: a list, or a mapping from column to
        weight. The pairs of a column weigh together what the column weighs.
    n_genes
        Exactly so many different genes, ``include`` counted, ``extend`` not.
    nested
        τ grows with the list, so that every prefix is a good panel of its size, and a shorter request gives a prefix.
        False: τ fits ``n_genes``, and the order is that of the gains.
    include, exclude
        Genes that are in, whatever other rule they break, and genes that are not.
    extend
        An existing panel to add to: it separates, fills caps and counts as markers, but not as ``n_genes``.
    priorities
        Gene to "must" (as ``include``), "wanted" (before all others) or "spare" (only when nothing else may be
        chosen).
    mask_var
        Boolean column of ``adata.var``: genes that may be chosen, e.g. "smash_candidate" of `pp.filter_genes`.
    mean_counts, max_counts
        ``(low, high)`` for the mean counts per cell over all cells, and for the mean in the class that has most; None
        for an open end. In raw counts.
    limits
        Column of ``adata.var`` to ``(low, high)``, e.g. ``{"probes": (5, None)}``; missing values do not pass.
    weight_key
        Column of ``adata.var`` with weights: the choice goes by gain × weight.
    cost_key, budget
        Column of ``adata.var`` with costs, and what the chosen genes may cost together; existing genes cost nothing.
    max_transcripts
        What all genes of the panel, existing ones included, may add up to in mean counts per cell in **every** class
        of every column (optical crowding), or a mapping from class to that. Ignored classes count here.
    positive_only
        Only genes that stand out by presence: their highest class is at least as far from the median class as the
        lowest, in some column.
    min_markers
        Markers promised to every class, or a mapping from column to that. A marker of a class is higher in it, with a
        separation of at least 0.5, than in 90 % of the other classes of its column. Where that cannot be, as many as
        can be are in, and the table ``certificate`` says why.
    ignore
        Classes that need not be told from any other.
    class_weights, pair_weights
        Factors of ``w_ab``: class to factor of all its pairs, and pair of classes to factor.
    prior
        ``w_ab`` holds the factor ``(p_a p_b)^(prior / 2)`` of the shares p of the classes: 0 (default) all pairs
        alike, 1 in favour of large classes (accuracy rather than mean recall).
    tau
        Another τ than ``max(2, 0.3 (n_genes + existing genes))``.
    sample_fraction, min_cells_per_sample
        With a ``sample_key``: a gene separates two classes only if in at least ``sample_fraction`` of the samples of
        each, those with ``min_cells_per_sample`` cells of it, the sample's mean is on the class's side of the middle
        between the two classes.
    work
        Folder that keeps the sums over the cells, as in `smash`.
    key
        Name of the slots.
    source
        As in `pp.filter_genes`. With a ``batch_key`` means are those of an additive model of class and batch, so that
        classes are compared within batches.

    Returns
    -------
    None. Fills ``.var["smash_panel"]`` (bool) and ``.uns["smash_panel"]``, read by `get.panel_table`:

    * ``genes``: rank, name, symbol, priority, gain of F, resolution so far (F over F of all genes), its share of what
      no panel of so many genes can exceed, the pair it resolves most, loss without it, substitute, loss with that,
      counts;
    * ``pairs``: a row a pair of classes, least resolved first: D, resolved share, error bound, what was possible;
    * ``purposes``: the pairs that need each gene most; ``curve``: size against resolution;
    * ``rules``, ``caps``, ``certificate``: genes each rule removed, sums against their caps, broken promises.

    Raises
    ------
    InfeasibleError
        If no panel of exactly ``n_genes`` genes meets the constraints: what is in the way, and what lifting it gives;
        also as a table in its ``certificate``.
    KeyError, ValueError, TypeError
        If the input cannot be used.
    """
    given = locals()  # first of all, while it holds the parameters only
    request = design.Request.of({field.name: given[field.name] for field in fields(design.Request)})
    columns = _columns(groupby)
    data = read(adata, {"groupby": next(iter(columns)), **source}, work)
    coded = {column: groups_of(adata, column, source.get("min_cells")) for column in list(columns)[1:]}
    levels = [
        design.Level(column, *coded.get(column, (data.group, data.groups)), float(weight))
        for column, weight in columns.items()
    ]
    _check_samples(adata, levels, source)
    found = design.design(design.prepare(data, levels, request, adata.var, _mask(adata, mask_var)))
    written = tables(found)
    short = written["certificate"]
    if len(short):
        warn(
            f"{len(short)} of {len(found.problem.classes.names)} classes have fewer markers than promised: "
            f"{', '.join(short['class'].astype(str)[:10])}; get.panel_table(adata, 'certificate') says why."
        )
    noted = asdict(request) | {"groupby": columns, "mask_var": mask_var, "tau": found.objective.tau} | source
    noted = {name: _listed(value) if isinstance(value, Mapping) else value for name, value in noted.items()}
    chosen = np.isin(np.arange(adata.n_vars), found.panel)
    slots.write_panel(adata, written, chosen, noted, key)


def _check_samples(adata: AnnData, levels: list[design.Level], source: Mapping[str, Any]) -> None:
    """Every cell with a label needs a sample and a batch; `read.read` has looked at the first column only."""
    used = np.any([level.code >= 0 for level in levels], axis=0)
    for what in ("sample_key", "batch_key"):
        column = source.get(what)
        if column is not None and adata.obs[column][used].isna().any():
            raise ValueError(f"some labelled cells have no value in {what}={column!r}; fill them in first.")


def _columns(groupby: str | Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    if isinstance(groupby, str):
        return {groupby: 1.0}
    columns = dict(groupby) if isinstance(groupby, Mapping) else dict.fromkeys(groupby, 1.0)
    if not columns:
        raise ValueError("groupby names no column.")
    return columns


def _mask(adata: AnnData, mask_var: str | None) -> np.ndarray | None:
    if mask_var is None:
        return None
    if mask_var not in adata.var:
        raise NotFoundError(
            f"mask_var: adata.var has no column {mask_var!r}; run pp.filter_genes first, or name another."
        )
    return adata.var[mask_var].to_numpy(dtype=bool)


def _listed(options: Mapping[Any, Any]) -> list[str]:
    """A mapping as a list of values, since labels such as ``NK/T`` cannot be keys in a file."""
    return [f"{' | '.join(name) if isinstance(name, tuple) else name} = {value}" for name, value in options.items()]
