"""Scores of the candidate genes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData

from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.annotated.source import EARLIER, Earlier
from smash_gpu.runtime.memory import limit
from smash_gpu.runtime.progress import say
from smash_gpu.selection import accuracy, steps
from smash_gpu.selection.options import Importance
from smash_gpu.selection.several import Models
from smash_gpu.tl._tuned import given, with_tuned


def importance(
    adata: AnnData,
    groupby: str,
    *,
    model: Models = Importance.model,
    n_models: int = Importance.n_models,
    max_cells: int | None = Importance.max_cells,
    random_state: int = Importance.random_state,
    model_options: Mapping[str, Any] | str | None = None,
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
    """Train a classifier of the classes and score how much each candidate gene tells about each class.

    Trees see log-normalised expression, the network z-scores; 80 % of the cells train, stratified.

    Parameters
    ----------
    adata
        Annotated cells × genes, usually after `pp.filter_genes`; else all genes are candidates.
    groupby
        Column of ``adata.obs`` with the cell types or states.
    model
        * "rf": random forest, "brf": balanced random forest; Gini importance × class mean of z.
        * "xgboost": boosted trees; summed gain × class mean of z, the paper's average gain
          (``model_options={"importance": "gain"}``), or TreeSHAP (``"shap"``).
        * "dnn": neural network; mean absolute Shapley value by DeepLIFT × separation, or as in the paper
          alone (``model_options={"by_expression": False}``).
        * an object with ``fit``, ``importance`` and ``predict``: see `smash_gpu.models.Model`.
        * a list of these: their consensus, by the mean reciprocal rank. Each model scores the genes as it does alone; a
          gene at rank r of a class counts 61 / (60 + r), one with a score of 0 nothing, and one with a negative score
          the same from the other end, with a minus. The mean over the models is 1 for a gene that is first in all.
    n_models
        Models trained on different splits and seeds, whose scores are averaged; their standard deviation is kept. In a
        consensus, so many of each kind.
    max_cells
        Most cells that a model is given, to learn from and to hold out. Of more, each model draws its own sample, in
        proportion to the classes, with at least 200 cells of each class or all it has, and a warning says so. None:
        100,000 for "rf" and "brf", all for the others and for objects. For a forest of all cells, give any number as
        large as the data.
    random_state
        Seed; two runs with one seed are equal. Model i uses ``random_state + i``.
    model_options
        Options of the model: `models.Boosted`, `models.Network`, or of scikit-learn's and imbalanced-learn's forests.
        Of a list of models a mapping from the name of each to its options: ``{"xgboost": {"max_depth": 4}}``; an object
        is named after its class. "tuned": those that `tl.tune` found for each model.
    layer, use_raw, normalize, gene_symbols, min_cells, sample_key, batch_key, device
        Where expression and cells come from, as in `pp.filter_genes`. Options left out are taken from the earlier step.
    memory
        Most memory of the whole process during this call, as in `pp.filter_genes`.
    key
        Prefix of the slots.

    Returns
    -------
    None. Fills ``.varm["smash"]`` (genes × classes, float32; larger is better, NaN for genes that are no candidates),
    ``.var["smash_importance"]`` (how much the model uses the gene for all classes together, which weighs the genes of
    panels: Gini importance; summed gain; mean absolute Shapley value over the classes and at most 500 training cells,
    equally many per class; mean over ``n_models``; float32),
    with several models ``.varm["smash_spread"]`` (their standard deviation), ``.varm["smash_auc"]`` (area under the ROC
    curve, float32; see `get.markers`), ``.uns["smash"]["groups"]`` and ``.uns["smash"]["accuracy"]`` (of each model on
    held-out cells, with all candidates; float64, from 0 to 1), with ``["group_accuracy"]`` and ``["training_cells"]``
    (models × classes) and ``["nearest_mean"]`` (accuracy of the nearest class mean on the same cells); `get.accuracy`
    reads them. A consensus has also the scores of each model, in ``.varm["smash_score_rf"]`` and so on, the names in
    ``.uns["smash"]["models"]``, and as ``_spread`` the standard deviation over the models; ``models`` above are then
    all seeds of the first, of the second, and so on. One line on stderr says them, through ``logging`` of "smash_gpu".
    A model far below the nearest class mean, or a class with few training cells, is a warning.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If a column or layer is not in the data.
    ValueError, TypeError
        If an option or the input cannot be used; the message says what to do.
    ImportError
        If the model needs a package that is not installed.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, Methods. TreeSHAP: Lundberg et al., Nature Machine Intelligence 2020. DeepLIFT:
    Shrikumar et al., ICML 2017. Mean reciprocal rank (reciprocal rank fusion): Cormack, Clarke & Büttcher, SIGIR 2009.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> adata = smg.datasets.planted()
    >>> smg.tl.importance(adata, "cell_type", model_options={"n_estimators": 20})
    >>> adata.varm["smash"].shape, str(adata.varm["smash"].dtype)
    ((60, 3), 'float32')
    """
    how = Importance(model, given(model_options), n_models, random_state, max_cells)
    where = slots.source(
        adata, key, groupby=groupby, layer=layer, use_raw=use_raw, normalize=normalize, gene_symbols=gene_symbols,
        min_cells=min_cells, sample_key=sample_key, batch_key=batch_key, device=device,
    )  # fmt: skip
    how = with_tuned(how, model_options, adata, where["groupby"], key)
    with limit(memory):
        data = read(adata, where)
        how.check_options(data.device)
        scores = steps.importance(data, slots.candidates(adata, key), how)
    accuracy.check(how.names, scores, data.groups)
    slots.record(adata, key, "source", where)
    slots.record(adata, key, "importance", how.recorded)
    slots.record(adata, key, "within", {})
    slots.write_scores(adata, scores, data.groups, key)
    say(accuracy.in_words(how.names, scores.accuracy, scores.group_accuracy, data.groups))
