"""How well genes tell classes apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from itertools import product
from typing import Any

from anndata import AnnData

from smash_gpu import evaluation
from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import EARLIER, Earlier
from smash_gpu.errors import warn
from smash_gpu.evaluation import Condition, Judging, Splitting
from smash_gpu.evaluation.classifiers import check
from smash_gpu.evaluation.metrics import CLUSTERS, INSIDE, STRUCTURE
from smash_gpu.evaluation.splitting import PAPER
from smash_gpu.evaluation.summary import CONDITION
from smash_gpu.genes.lists import MISSING
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.runtime.words import not_one_of
from smash_gpu.tl import _summaries
from smash_gpu.tl._lists import Wanted, at_least_none, choosers_of, is_chosen_inside, is_wilcoxon, named, sizes_of


def evaluate(
    adata: AnnData,
    groupby: str,
    *,
    genes: Wanted | Mapping[str, Wanted] = None,
    n_genes: int | Iterable[int] | None = None,
    missing: str = MISSING,
    classifier: str | Iterable[str] = Judging.classifiers,
    protocol: str = Splitting.protocol,
    n_splits: int = Splitting.n_splits,
    n_seeds: int = Splitting.n_seeds,
    n_random: int = Judging.n_random,
    thin: float | Iterable[float] = (),
    dropout: float | Iterable[float] = (),
    degrade: Mapping[str, float] | None = None,
    intact_training: bool = Judging.intact_training,
    structure: bool | str | Iterable[str] = False,
    random_state: int = Splitting.random_state,
    layer: str | None | Earlier = EARLIER,
    use_raw: bool | Earlier = EARLIER,
    normalize: bool | None | Earlier = EARLIER,
    gene_symbols: str | None | Earlier = EARLIER,
    min_cells: int | None | Earlier = EARLIER,
    sample_key: str | None | Earlier = EARLIER,
    batch_key: str | None | Earlier = EARLIER,
    device: str | Earlier = EARLIER,
    memory: int | str | None = None,
    key: str = slots.KEY,
) -> None:
    """How well a classifier that sees nothing but a list of genes (their z-scores) tells the classes apart.

    Parameters
    ----------
    adata
        Annotated cells × genes, after `tl.smash` unless ``genes`` is given.
    groupby
        Column of ``adata.obs`` with the cell types or states.
    genes
        None: the selection of the last `tl.smash` is repeated inside the training cells of every split, so that no
        held-out cell took part in its choice. A list is judged as it is: if it was chosen on these cells, the result is
        optimistic. A function of (annotated training cells, number of genes) that returns gene names, best first, is
        called in every split. "wilcoxon": the genes of ``scanpy.tl.rank_genes_groups(method="wilcoxon")`` on the
        training cells, classes in turn, best first, of all genes without filters. A mapping from names to any of these
        is judged side by side on the same splits. A list holds names, symbols or Ensembl ids; it may be a table with a
        column such as "name", "gene" or "symbol", or the ``pathlib.Path`` of a file with one gene per line or such a
        table.
    n_genes
        Length, or several lengths, of the prefixes that are judged (a learning curve). Each selection runs once per
        split, for the longest. A given list must be in order of preference then; if it is shorter than a length, all of
        it is judged there, with a warning. None: the whole of a given list, and 30 genes of a selection.
    missing
        "warn": genes of a list that the data lack are left out with a warning that names them. "raise": they are an
        error.
    classifier
        "knn" (k = 3), "logreg" (logistic regression), "forest" (100 trees), or several; cuML's on a device.
    protocol
        "leak-free": ``n_splits`` stratified 70/30 splits, or with a ``sample_key`` folds of whole samples; z-scores
        from the training cells. A class that no training cell of a fold has cannot be predicted with any genes, so it
        is not judged there (NaN, in no mean), and a warning names it. "paper": one stratified 70/30 split with seed 42,
        z-scores from all cells. Neither corrects batches in what the classifier sees.
    n_splits, n_seeds
        Number of splits, and how often they are repeated with the following seeds. With as many folds as samples the
        repeats are equal.
    n_random
        Random panels for each list and split as a baseline, of the same size and matched in mean expression gene by
        gene (in 20 bins).
    thin
        Shares of the counts, below 1, at which everything is judged once more: binomial thinning of all cells, training
        cells included, so that the panel is judged and not the step from one platform to another. Raw counts only.
    dropout
        Chances of each gene to fail (to read zero in all cells), at which everything is judged once more; also in
        combination with each of ``thin``. The genes are chosen on the intact data in either case.
    degrade
        One simulated platform on which everything is judged once more: any of "gene_bias", the standard deviation of
        the logarithm of a factor per gene on its counts (a factor above one multiplies counts); "background", the mean
        of false counts per gene and cell; "thin"; "dropout". As in ``{"gene_bias": 0.9, "background": 0.02,
        "thin": 0.3, "dropout": 0.1}``. The factors are the same in all splits, the failing genes are not.
    intact_training
        Simulate for held-out cells only: the classifier learns from training cells as they were measured, and both are
        scaled on their own, as in `tl.transfer`. False: of all cells.
    structure
        Further metrics, by name; True: the first two. Three need no labels and are of the structure inside types:
        "neighbour_overlap", the share of the 15 nearest held-out cells in 30 principal components (of the 2,000 most
        variable genes of training cells) that are also nearest by the list; "explained_variance", the share of the
        variance of 500 variable genes that are not in the list, explained in held-out cells by ridge regression;
        "cluster_nmi", the normalised mutual information between Leiden clusters of held-out cells by the list and in
        these components, mean over the resolutions 0.25, 0.5, 1, 2 and 4 (needs igraph). They run on the CPU.
        "captured_types": the mean over classes of their recall on a linear scale, 0 up to 0.75 and 1 from 0.85 on, by a
        forest as of ``classifier="forest"``, fitted for this whichever classifiers are named.
    random_state
        Seed of the first split; the others follow.
    layer, use_raw, normalize, gene_symbols, min_cells, sample_key, batch_key, device
        Where expression and cells come from, as in `pp.filter_genes`. Options left out are taken from the earlier step.
    memory
        Most memory of the whole process during this call, as in `pp.filter_genes`.
    key
        Prefix of the slots.

    Returns
    -------
    None. Fills ``.uns["smash"]``: ``["evaluation"]`` (one row per list, split, condition, classifier and number of
    genes, with every metric), ``["confusion"]`` (rows × classes × classes, numbers of held-out cells, int32),
    ``["evaluation_groups"]``, ``["evaluation_panels"]`` (the genes that were judged), ``["evaluation_not_judged"]``
    (the classes that were not, and why), and the options in ``["params"]["evaluation"]``. Read them by
    `get.evaluation`, `get.comparison`, `get.learning_curve`, `get.differences`, `get.group_metrics`,
    `get.unresolved_pairs`, `get.confusion` and `get.evaluation_options`.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column, layer or gene is not in the data, or neither ``genes`` is given nor `tl.smash` has run.
    ValueError
        If an option cannot be used, the selection cannot be repeated, or no class is left to judge.

    References
    ----------
    "captured_types" and its scale: Kuemmerle et al., Nature Methods 2024 (Spapros), there by boosted trees.
    Protocol "paper", misclassification and F1: SMaSH, bioRxiv 2021.04.08.438978, Methods and equations 1 and 2.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> lists = {"markers": ["MARKER0X", "MARKER1X", "MARKER2X"], "noise": ["NOISE9", "NOISE10", "NOISE11"]}
    >>> smg.tl.evaluate(adata, "cell_type", genes=lists)
    >>> table = smg.get.comparison(adata, "misclassification").set_index("genes")
    >>> bool(table.loc["markers", "mean"] < 0.1 < table.loc["noise", "mean"])
    True

    The selection, repeated inside the training cells of every split:

    >>> smg.tl.smash(adata, "cell_type", model_options={"n_estimators": 10})
    >>> smg.tl.evaluate(adata, "cell_type", n_genes=[3, 6], n_splits=2)
    >>> smg.get.learning_curve(adata)["n_genes"].tolist()
    [3, 6]
    """
    splitting = Splitting(protocol, n_splits, n_seeds, random_state)
    how = Judging(
        tuple([classifier] if isinstance(classifier, str) else classifier), sizes_of(n_genes),
        _conditions(thin, dropout, degrade), intact_training, structure_of(structure),
        at_least_none(n_random), protocol == PAPER, random_state,
    )  # fmt: skip
    for name in how.classifiers:
        check(name)
    where = slots.source(
        adata, key, groupby=groupby, layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols,
        min_cells=min_cells, sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    _warn_of_tuning(adata, genes, key)
    with limit(memory):
        data = read(adata, where).held()
        choosers = choosers_of(adata, data, genes, how.n_genes, missing=missing, key=key)
        parts = list(splitting.of(data))
        missed = _warned(evaluation.not_judged(data, parts, where["sample_key"]))
        found = evaluation.evaluate(data, choosers, parts, how=how)
    panels = found.panels.assign(name=data.names[found.panels["gene"]]).drop(columns="gene")
    options = where | vars(splitting) | {
        "classifier": how.classifiers, "n_genes": how.n_genes or None, "n_random": n_random,
        "missing": missing,
        "thin": tuple(_several(thin)), "dropout": tuple(_several(dropout)),
        "degrade": None if degrade is None else dict(degrade), "intact_training": intact_training,
        "structure": how.structure or False,
    } | _origins(genes)  # fmt: skip
    tables = {"groups": data.groups, "panels": panels, "not_judged": missed, "options": options}
    slots.write_evaluation(adata, found.table, found.confusions, **tables, key=key)
    say(_summaries.of_evaluation(found.table))


def _warn_of_tuning(adata: AnnData, genes: Wanted | Mapping[str, Wanted], key: str) -> None:
    if any(one is None for one in named(genes).values()) and slots.recorded(adata, key, "importance").get("tuned"):
        warn(
            "the model options were tuned on these cells, held-out cells included, so the evaluation is optimistic. "
            "Pass genes= a function that calls tl.tune and tl.smash (see tl.tune)."
        )


def _warned(missed: list[str]) -> list[str]:
    if missed:
        warn(
            f"{'; '.join(missed)}. A class without training cells cannot be predicted with any genes, so these cells "
            "are not judged: they are in no metric."
        )
    return missed


def _origins(genes: Wanted | Mapping[str, Wanted]) -> dict[str, tuple[str, ...]]:
    """Names of all lists, of those chosen in every split, and of those that a function or the test chose there."""
    lists = named(genes)
    chosen_by = {"inside_splits": is_chosen_inside, "by_function": callable, "by_wilcoxon": is_wilcoxon}
    return {"genes": tuple(lists)} | {
        word: tuple(name for name, one in lists.items() if is_so(one)) for word, is_so in chosen_by.items()
    }


def _conditions(
    thin: float | Iterable[float], dropout: float | Iterable[float], degrade: Mapping[str, float] | None
) -> tuple[Condition, ...]:
    kept, lost = dict.fromkeys([1.0, *_several(thin)]), dict.fromkeys([0.0, *_several(dropout)])
    platform = {str(name): float(value) for name, value in (degrade or {}).items()}
    if wrong := sorted(set(platform) - set(CONDITION)):
        raise ValueError(not_one_of("degrade", wrong[0], CONDITION))
    swept = [Condition(t, d) for t, d in product(kept, lost)]
    return tuple(dict.fromkeys([*swept, Condition(**platform)]))


def structure_of(wanted: Any) -> tuple[str, ...]:
    """Names of the further metrics: none, those of True, one or several.

    Raises
    ------
    ValueError, ImportError
        If there is no such metric, or it needs a package that is not installed.
    """
    if wanted is None or isinstance(wanted, bool):
        wanted = INSIDE if wanted else ()
    names = (wanted,) if isinstance(wanted, str) or not isinstance(wanted, Iterable) else tuple(wanted)
    if wrong := [name for name in names if name not in STRUCTURE]:
        raise ValueError(not_one_of("structure", wrong[0], STRUCTURE))
    if CLUSTERS in names and find_spec("igraph") is None:
        raise ImportError(f"{CLUSTERS} needs igraph: pip install igraph, or leave it out of structure=.")
    return tuple(dict.fromkeys(names))


def _several(levels: float | Iterable[float]) -> list[float]:
    return [*map(float, levels)] if isinstance(levels, Iterable) else [float(levels)]
