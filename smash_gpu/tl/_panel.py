"""Exactly N genes for all classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.source import Source
from smash_gpu.data.stages import Work
from smash_gpu.genes.lists import Genes
from smash_gpu.genes.values import Values
from smash_gpu.panel import Request
from smash_gpu.tl._design import columns_of, design_into

Window = tuple[float | None, float | None]


def panel(
    adata: AnnData,
    groupby: str | Sequence[str] | Mapping[str, float] | None,
    *,
    platform: str | Path | None = None,
    n_genes: int = Request.n_genes,
    nested: bool = Request.nested,
    include: Genes = Request.include,
    extend: Genes = Request.extend,
    exclude: Genes = Request.exclude,
    unavailable: Genes = Request.unavailable,
    off_target: Values | None = None,
    max_off_target: float = Request.max_off_target,
    exclude_families: Iterable[str] = Request.exclude_families,
    species: str = Request.species,
    priorities: Mapping[str, str] | None = None,
    gene_table: pd.DataFrame | Path | None = None,
    mask_var: str | None = None,
    mean_counts: Window | None = None,
    max_counts: Window | None = None,
    limits: Mapping[str, Window] | None = None,
    length_key: str | None = None,
    weights: str | None = None,
    weight_key: Values | None = None,
    cost_key: Values | None = None,
    budget: float | None = Request.budget,
    max_transcripts: float | Mapping[str, float] | None = Request.max_transcripts,
    probe_sets: tuple[int | str, int | str] | None = Request.probe_sets,
    failure_rate: float | Values | None = None,
    quotas: Mapping[str, tuple[Genes | str, float | None, float | None]] | None = None,
    positive_only: bool = Request.positive_only,
    min_markers: int | Mapping[str, int] = Request.min_markers,
    ignore: Iterable[str] = Request.ignore,
    class_weights: Mapping[str, float] | None = None,
    pair_weights: Mapping[tuple[str, str], float] | None = None,
    prior: float = Request.prior,
    tau: float | None = Request.tau,
    variation: float = Request.variation,
    variation_target: str = Request.variation_target,
    tune: bool = Request.tune,
    random_state: int = 0,
    sample_fraction: float = Request.sample_fraction,
    min_cells_per_sample: int = Request.min_cells_per_sample,
    layer: str | None = Source.layer,
    use_raw: bool = Source.use_raw,
    normalize: bool | None = Source.normalize,
    gene_symbols: str | None = Source.gene_symbols,
    min_cells: int | None = Source.min_cells,
    sample_key: str | None = Source.sample_key,
    batch_key: str | None = Source.batch_key,
    device: str = Source.device,
    memory: int | str | None = None,
    work: str | Path | Work | None = None,
    key: str = slots.PANEL,
) -> None:
    """Choose exactly ``n_genes`` genes that together tell all classes apart, within the limits of an experiment.

    For classes a, b and gene g, from means m and variances v of log-normalised expression, the separation is ``s_g(a,
    b) = (m_ag − m_bg)² / (v_ag + v_bg + 0.05)``; for a panel S ``D_ab = Σ_{g ∈ S} s_g(a, b)``, and ``F(S) = Σ_ab w_ab
    (1 − exp(−D_ab / τ))`` is maximised greedily: gene by gene, so that the order is one of importance. F is monotone
    and submodular: without caps the panel reaches at least 1 − 1/e = 63 % of the best possible F; the share that it
    reaches is reported. The panel is the same on every machine; equal gains are ordered by name.

    Parameters
    ----------
    adata
        Annotated cells × genes; raw counts unless ``normalize=False``.
    groupby
        Column of ``adata.obs`` with the classes, or several in one budget: a list, or a mapping from column to weight.
        All pairs of a column together have the weight of the column. None, with ``variation=1``: no classes; the
        panel is that by the variation alone, and all cells count as one class where a limit is per class.
    platform
        Imaging platform whose public limits hold where you give no others, by its name in `smash_gpu.platforms`, such
        as "xenium_v1", or a TOML file in the form of ``smash_gpu/panel/platforms.toml``. The table ``platform`` says
        what became of each number, and what is not public.
    n_genes
        Number of different genes, ``include`` counted, ``extend`` not.
    nested
        True: τ grows with the list, so that every prefix is a good panel of its size, and a shorter request gives a
        prefix. False: τ fits ``n_genes``, and the order is that of the gains.
    include
        Genes that are in, whichever other rule they break: names, symbols or Ensembl ids. A list, a table with a column
        such as "name", "gene" or "symbol", or the ``pathlib.Path`` of a file with one gene per line or such a table;
        so for ``extend`` and ``exclude``. Of several genes with one symbol the first is taken, with a warning.
    extend
        An existing panel to add to, such as the ``pathlib.Path`` of a Xenium gene_panel.json, of 10x's table of a panel
        or of a MERSCOPE codebook: it separates, fills caps and counts as markers, but not as ``n_genes``. Genes of it
        that the data lack separate nothing; a warning names them, and the table ``slide`` holds them.
    exclude
        Genes that are not in.
    unavailable
        Genes without probes, such as the vendor's files of them: a list of genes or of paths. They are not in, and may
        be unknown to the data; an error if ``include`` names one.
    off_target, max_off_target
        Column of ``adata.var`` with numbers of off-target sites or scores, or a mapping from gene to them, or a table
        or the path of one; genes above ``max_off_target`` are not in. A gene without a number passes.
    exclude_families, species
        Gene families that are not in, of "mitochondrial", "ribosomal", "heat_shock", "housekeeping" and "hla" (MHC),
        and the species whose names they have, as in `pp.filter_genes`; () for none. They separate classes in one data
        set, but less surely in another tissue, donor or platform.
    priorities
        Gene to "must" (as ``include``), "wanted" (before all others) or "spare" (only when nothing else may be
        chosen).
    gene_table
        A table of genes, by name, symbol or Ensembl id, or the path of one. Its columns count as columns of
        ``adata.var``, which stays as it is, for ``mask_var``, ``limits`` and the options that end in ``_key``.
    mask_var
        Boolean column of ``adata.var``: genes that may be chosen, e.g. "smash_candidate" of `pp.filter_genes`.
    mean_counts, max_counts
        ``(low, high)`` for the mean counts per cell over all cells, and for the mean in the class with the highest;
        None for an open end. In raw counts.
    limits
        Column of ``adata.var`` to ``(low, high)``, e.g. ``{"probes": (5, None)}``; missing values do not pass. Where
        ``adata.var`` has no such columns they are computed: "expression_q99", the 99 % quantile of log1p(counts per
        10,000) over all cells, rounded down to 0.05, and "counts_per_million", of all cells together.
    length_key
        Column of ``adata.var`` with the length of transcripts in bases, for ``platform``; None: "transcript_length" (of
        `pp.transcript_lengths`) if there is one.
    weights
        Key of a result of `tl.smash` or `tl.importance`, by default "smash" there: every separation is multiplied by
        ``w_g = min(1, I_g / mean of the 100 largest I)``, where I is how much the model uses the gene
        (``.var["smash_importance"]``). Genes that were no candidates of the model are not chosen; those in ``include``
        or ``extend`` have the weight 1. F, its bound and all tables are then those of the weighted objective;
        "curve" also holds ``unweighted_resolution``. None: all weights are 1.
    weight_key
        Column of ``adata.var`` with weights, or a mapping, Series or table of them by name, symbol or Ensembl id: the
        choice goes by gain × weight, F does not contain them. A gene without one has the weight 1.
    cost_key, budget
        Column or table of costs, as of weights, and the largest sum of the chosen genes; existing genes cost nothing.
    max_transcripts
        Most mean counts per cell of all genes of the panel together, existing ones included, in **every** class of
        every column (optical crowding), or a mapping from class to that. Ignored classes count here.
    probe_sets
        ``(low, high)``: the least and the most probe sets of a gene, numbers or columns of ``adata.var``. The choice
        then also gives every gene its number: fewer to bright genes where ``max_transcripts`` would leave them out, all
        where there is room. The data are what is seen with ``high``: with p of P sets a gene adds p / P of its counts,
        and the sampling part u of its variances (that of Poisson counts, at most v) grows: ``s_g(a, b) = (m_ag −
        m_bg)² / (v_ag + v_bg + 0.05 + (P / p − 1) (u_ag + u_bg + 0.05))``. Existing genes have ``high``;
        ``max_counts``, markers and costs do not depend on it. Genes with fewer sets than ``low`` are not in.
    failure_rate
        The probability q that the probes of a gene fail, from 0 to below 1: a number for all genes, or a column of
        ``adata.var``, a mapping or a table with one for every gene, existing ones included. Genes fail independently.
        F is then its mean over all ways to fail, which is F with ``s̃ = −τ log(q + (1 − q) exp(−s / τ))`` instead of s;
        the bound and all tables are those of this mean, the substitutes too. Markers, quotas, caps and ``variation``
        count a gene that may fail like any other. None: no gene fails.
    quotas
        Name to ``(genes, low, high)``: at least ``low`` and at most ``high`` genes of a group are in the panel and the
        existing one together; None for an open end. Genes as for ``include``, or the name of a gene family as in
        ``exclude_families``; those that the data lack are left out with a warning. Groups may overlap.
    positive_only
        Only genes that stand out by presence: their highest class is at least as far from the median class as the
        lowest, in some column.
    min_markers
        Markers promised to every class, or a mapping from column to that. A marker of a class is higher in it, with a
        separation of at least 0.5, than in 90 % of the other classes of its column. If that is not possible, the panel
        holds as many as possible, and the table ``certificate`` says why.
    ignore
        Classes that need not be distinguished.
    class_weights, pair_weights
        Factors of ``w_ab``: class to factor of all its pairs, and pair of classes to factor.
    prior
        ``w_ab`` holds the factor ``(p_a p_b)^(prior / 2)`` of the shares p of the classes. 0: all pairs alike, 1: in
        favour of large classes (accuracy rather than mean recall).
    tau
        τ; None: ``max(2, 0.3 (n_genes + existing genes))``.
    variation
        λ from 0 to 1: the choice is by ``J(S) = (1 − λ) F(S) / F(all genes) + λ V(S)``, where V is the share of the
        variance of ``variation_target`` over the cells that a linear regression on the panel explains, if every gene
        is measured with noise (half the variance of the most variable gene). Panels then keep more of the structure
        inside classes: 0.1 is a good start. One more pass over the cells. V is monotone,
        but not submodular, so that the 63 % are not guaranteed; the bounds on F hold, and an upper bound on V is
        reported. ``substitute`` and ``next_best`` go by F.
    variation_target
        "pc": the 30 leading principal components of the 2,000 most variable genes that may be chosen; "total": these
        genes themselves. V counts them, the 500 genes that separate most alone, and those of ``include`` and
        ``extend``; other genes can be chosen, too, but count for F only.
    tune, random_state
        True: choose τ, ``prior`` and ``variation`` among seven settings by the share of cells that kNN(3) misclassifies
        in five folds of the cells (of at most 5,000, drawn with ``random_state``); of the weights of the variation, the
        largest that costs no cell. Only the cells given take part, so that it is leak-free in a function for
        `tl.evaluate`. A value other than the default stays. Every misclassified cell counts the same, whatever
        ``ignore``, weights and failing probes say, and the folds divide cells, not samples. The table ``tuning`` holds
        all settings and their errors.
    sample_fraction, min_cells_per_sample
        With a ``sample_key``: a gene separates two classes only if in at least ``sample_fraction`` of the samples of
        each, those with ``min_cells_per_sample`` cells of it, the sample's mean is on the class's side of the middle
        between the two classes.
    layer, use_raw, normalize, gene_symbols, min_cells
        Which matrix to read, whether it holds raw counts, the column of ``adata.var`` with gene symbols, and the size
        of the smallest class; as in `pp.filter_genes`, but a class of one cell is left out with a warning, not an
        error.
    sample_key
        Column of ``adata.obs`` with the sample, patient or donor of each cell.
    batch_key
        Column of ``adata.obs`` with the batch of each cell. Means are then those of an additive model of class and
        batch, so that classes are compared within batches.
    device, memory
        "auto", "cpu" or "cuda", and the most memory of the whole process; as in `pp.filter_genes`.
    work
        Folder that keeps the sums over the cells, as in `tl.smash`.
    key
        Name of the slots.

    Returns
    -------
    None. Fills ``.var["smash_panel"]`` (bool) and ``.uns["smash_panel"]``, read by `get.panel` and `get.panel_table`:

    * ``genes``: rank, name, symbol, priority, gain of F, resolution so far (F over F of all genes), its share of the
      bound on every panel of that size, the pair it resolves most, loss without it; ``substitute``, the gene that
      makes up for most of that loss pair by pair, ``replaces``, the share of it, and the loss with it (of less than a
      tenth: no substitute, 0, and the loss without); ``next_best``, the gene
      that adds most to the other genes of the panel, and the loss with it; number of probe sets; counts per cell;
    * with ``variation``, ``genes`` and ``curve`` also hold V so far, and ``curve`` an upper bound on it; without
      classes gains and losses are of V, and what needs pairs or classes is left out or empty;
    * ``pairs``: one row per pair of classes, least resolved first: D, resolved share, error bound, what was possible;
    * ``purposes``: the pairs that need each gene most; ``curve``: size against resolution;
    * ``rules``, ``caps``, ``certificate``: genes each rule removed, sums against their caps, markers of each class;
    * ``slide``: all genes on the slide, existing and chosen, whether the data hold them, ids and probe sets;
    * ``platform``: its numbers, their sources, and how each was used; empty without ``platform``;
    * ``crowding``: transcripts per cell of the whole panel in each class, and the limit.

    Raises
    ------
    smash_gpu.errors.InfeasibleError
        If no panel of exactly ``n_genes`` genes meets the constraints. The message, and its table ``certificate``, name
        the constraints in the way and the gain of lifting each.
    smash_gpu.errors.NotFoundError
        If a column, layer, gene, class or result is not in the data.
    ValueError, TypeError
        If an option or the input cannot be used.

    References
    ----------
    The bound 1 − 1/e: Nemhauser, Wolsey & Fisher, Mathematical Programming 1978. Choice of genes by the variance that
    they explain: column subset selection, Farahat, Ghodsi & Kamel, Knowledge and Information Systems 2013.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.panel(adata, "cell_type", n_genes=4, include=["NOISE9"], min_markers=1)
    >>> panel = smg.get.panel(adata)
    >>> sorted(adata.var["marker_of"][panel])
    ['', 'A', 'B / b', 'CD4+ T']
    """
    slots.require_storable(key)
    options = {
        "n_genes": n_genes, "nested": nested, "include": include, "extend": extend, "exclude": exclude,
        "unavailable": unavailable, "off_target": off_target, "max_off_target": max_off_target,
        "exclude_families": exclude_families, "species": species, "priorities": priorities,
        "mean_counts": mean_counts, "max_counts": max_counts, "limits": limits,
        "weight_key": weight_key, "cost_key": cost_key, "budget": budget, "max_transcripts": max_transcripts,
        "probe_sets": probe_sets, "failure_rate": failure_rate, "quotas": quotas,
        "positive_only": positive_only, "min_markers": min_markers, "ignore": ignore, "prior": prior, "tau": tau,
        "variation": variation, "variation_target": variation_target, "tune": tune,
        "class_weights": class_weights, "pair_weights": pair_weights, "sample_fraction": sample_fraction,
        "min_cells_per_sample": min_cells_per_sample,
    }  # fmt: skip
    source = Source(
        layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols, min_cells=min_cells,
        sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    design_into(
        adata, columns_of(groupby, variation), options, source, platform=platform, length_key=length_key,
        gene_table=gene_table, mask_var=mask_var, weights=weights, random_state=random_state, memory=memory, work=work,
        key=key,
    )  # fmt: skip
