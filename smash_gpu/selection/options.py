"""The options of the four steps, each and together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from smash_gpu import models
from smash_gpu.compute import pca
from smash_gpu.data import splits
from smash_gpu.genes import filters as gene_filters
from smash_gpu.genes import lists as gene_lists
from smash_gpu.genes import names as gene_names
from smash_gpu.runtime.whole import require_whole
from smash_gpu.runtime.words import names_of, not_an_option
from smash_gpu.selection import several

PERCENT = 2.0  # larger values must be percentages; a share just above 1 switches a rule off
CELLS_OF_TWO_GROUPS = 4
LISTS = {"families": names_of, "exclude": gene_lists.listed, "keep": gene_lists.listed}
PANEL_GENES = 30
ANY_EFFECT = {"min_log2_fold_change": 0.0, "min_fraction_difference": -1.0, "near_highest": 0.0}


def paper(model: several.Models = models.DEFAULT) -> dict[str, Any]:
    """Options of `tl.smash` for the paper's filters and scores, where our defaults differ.

    Parameters
    ----------
    model
        "rf", "brf", "xgboost" or "dnn", or a list of them.

    Returns
    -------
    ``model``, ``filters``, ``inverse_pca`` and ``model_options`` of `tl.smash`, and its options for effect sizes such
    that none is needed.

    Raises
    ------
    ValueError
        For an unknown model, or a list that holds one twice.

    References
    ----------
    SMaSH, bioRxiv 2021.04.08.438978, Methods.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> options = smg.paper("dnn")
    >>> options["filters"], options["inverse_pca"], options["near_highest"]
    ({'max_fraction': 0.75}, True, 0.0)
    >>> options["model_options"]["softmax_rule"], options["model_options"]["learning_rate"]
    ('tf', 0.001)

    The two that the paper recommends together:

    >>> smg.paper(["dnn", "xgboost"])["model_options"]["xgboost"]["importance"]
    'gain'
    """
    named = dict(zip(several.names_of(model), several.as_list(model), strict=True))
    for one in named.values():
        models.check(one, {})
    of_each = {name: dict(models.MODELS[one].paper) for name, one in named.items() if isinstance(one, str)}
    options = of_each if isinstance(model, list | tuple) else of_each.get(str(model), {})
    filters = {"max_fraction": gene_filters.MAX_FRACTION}
    return {"model": model, "filters": filters, "inverse_pca": True, "model_options": options} | ANY_EFFECT


@dataclass(frozen=True)
class Filters:
    """Which genes can be markers; see `smash_gpu.pp.filter_genes` for the parameters."""

    min_fraction: float = gene_filters.MIN_FRACTION
    max_fraction: float | None = None
    max_groups: float = gene_filters.MAX_GROUPS
    families: tuple[str, ...] = gene_names.FAMILY_NAMES
    species: str = "auto"
    exclude: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("min_fraction", "max_fraction", "max_groups"):
            if not 0 <= (getattr(self, name) or 0) < PERCENT:
                raise ValueError(f"{name}={getattr(self, name)} must be a fraction from 0 to 1, not a percentage.")
        gene_filters.check_families(self.families, self.species, what="families")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Filters from a user's mapping; lists become tuples.

        Raises
        ------
        TypeError
            For an unknown option, or a string instead of a list of genes.
        """
        names = [f.name for f in fields(cls)]
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise TypeError(not_an_option("filters", unknown[0], names))
        given: dict[str, Any] = {n: LISTS[n](value, n) if n in LISTS else value for n, value in options.items()}
        return cls(**given)

    def by_name(self, genes: gene_lists.GeneNames) -> Self:
        """With the names that the data have for the genes of the lists, so that the step can be repeated.

        Raises
        ------
        NotFoundError
            If a gene is not in the data.
        """
        return replace(self, exclude=genes.known(self.exclude, "exclude"), keep=genes.known(self.keep, "keep"))


@dataclass(frozen=True)
class InversePCA:
    """See `smash_gpu.pp.inverse_pca` for the parameters."""

    n_top: int = pca.N_TOP
    variance: float = pca.VARIANCE
    keep: tuple[str, ...] = ()

    def by_name(self, genes: gene_lists.GeneNames) -> Self:
        """See `Filters.by_name`."""
        return replace(self, keep=genes.known(self.keep, "keep"))


@dataclass(frozen=True)
class Importance:
    """How genes are scored; see `smash_gpu.tl.importance` for the parameters. ``tuned``: options of `tl.tune`."""

    model: several.Models = models.DEFAULT
    options: Mapping[str, Any] = field(default_factory=dict)
    n_models: int = 1
    random_state: int = 0
    max_cells: int | None = None
    tuned: bool = False

    def __post_init__(self) -> None:
        require_whole(n_models=self.n_models, random_state=self.random_state)
        for one in several.as_list(self.model):
            models.check(one, {})
        found = several.each(self.model, self.options)
        for one, options in found:
            models.check(one, options)
            if not isinstance(one, str) and self.n_models > 1:
                raise ValueError("n_models > 1 needs the name of a model: a model object cannot be given new seeds.")
        if len(found) == 1:
            for name, value in zip(("model", "options"), found[0], strict=True):
                object.__setattr__(self, name, value)
        if self.max_cells is not None and self.max_cells < CELLS_OF_TWO_GROUPS:
            raise ValueError(f"max_cells={self.max_cells} is too low; at least two cells of each class are needed.")
        if self.n_models < 1:
            raise ValueError(f"n_models={self.n_models} must be at least 1.")

    @property
    def is_consensus(self) -> bool:
        """Whether there are several models."""
        return isinstance(self.model, list | tuple)

    @property
    def each(self) -> list[Self]:
        """The options of each model alone."""
        if not self.is_consensus:
            return [self]
        return [replace(self, model=one, options=how) for one, how in several.each(self.model, self.options)]

    @property
    def single(self) -> several.One:
        """The model, where there is one."""
        return several.as_list(self.model)[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each model, or of the class of the user's own."""
        return several.names_of(self.model)

    def check_options(self, device: str) -> None:
        """See `models.check_values`, for every model."""
        for one, options in several.each(self.model, self.options):
            models.check_values(one, options, device)

    @property
    def recorded(self) -> dict[str, Any]:
        """The options, whether the step can be repeated, and what the scores of a user's own models are."""
        own = {
            name: models.facts_of(one).score_in_words
            for name, one in zip(self.names, several.as_list(self.model), strict=True) if not isinstance(one, str)
        }  # fmt: skip
        known = vars(self) | {"is_repeatable": self.is_repeatable}
        if self.is_consensus:
            return known | {"model": self.names} | ({"score_in_words": own} if own else {})
        return known | ({"score_in_words": next(iter(own.values()))} if own else {})

    def key_of_model(self, seed: int, *, batch: np.ndarray | None, **others: Any) -> dict[str, Any] | None:
        """Everything that the scores of one model depend on; None if it cannot be saved to a file.

        Options that were not given are in it with their defaults, since a later version may have others. The first seed
        only affects batch correction, so results for the same seeds can be reused with more models.
        """
        if not self.is_repeatable:
            return None
        options = models.MODELS[str(self.model)].defaults | dict(self.options)
        one = {"model": self.model, "options": options, "seed": seed}
        return one | {"batch": None if batch is None else (self.random_state, batch)} | others

    @property
    def is_repeatable(self) -> bool:
        """Whether the step can be repeated from values that can be saved to a file."""
        return not self.objects

    @property
    def objects(self) -> list[str]:
        """Parameters that cannot be saved to a file: a model object, or options that are not simple values."""
        if self.is_consensus:
            named = zip(self.names, self.each, strict=True)
            return [f"{what} of {name}" for name, one in named for what in one.objects]
        plain = (bool, int, float, str, np.generic, type(None))
        if not isinstance(self.model, str):
            return ["model"]
        return [f"model_options[{name!r}]" for name, value in self.options.items() if not isinstance(value, plain)]


@dataclass(frozen=True)
class Ranking:
    """How scores become markers; see `smash_gpu.tl.rank_markers` for the parameters."""

    n_top: int = 5
    unique: bool = False
    positive_only: bool = False
    min_log2_fold_change: float = 0.5
    min_fraction_difference: float = 0.0
    near_highest: float = 0.5
    sample_fraction: float = splits.MIN_SAMPLE_FRACTION
    min_cells_per_sample: int = 1

    def __post_init__(self) -> None:
        require_whole(n_top=self.n_top)
        if self.n_top < 1:
            raise ValueError(f"n_top={self.n_top} must be at least 1.")
        if not self.min_log2_fold_change >= 0:
            raise ValueError(f"min_log2_fold_change={self.min_log2_fold_change} must be at least 0, which needs none.")
        if not -1 <= self.min_fraction_difference <= 1:
            raise ValueError(
                f"min_fraction_difference={self.min_fraction_difference} must be a difference of fractions, from -1, "
                "which needs none, to 1; not a percentage."
            )
        if not 0 <= self.near_highest <= 1:
            raise ValueError(f"near_highest={self.near_highest} must be from 0, which needs nothing, to 1.")


STEPS = {"filters": Filters, "inverse_pca": InversePCA, "importance": Importance, "ranking": Ranking}


@dataclass(frozen=True)
class Recipe:
    """The options of all four steps; None leaves out the filters or the inverse PCA."""

    filters: Filters | None = field(default_factory=Filters)
    inverse_pca: InversePCA | None = None
    importance: Importance = field(default_factory=Importance)
    ranking: Ranking = field(default_factory=Ranking)

    def by_name(self, genes: gene_lists.GeneNames) -> Self:
        """See `Filters.by_name`."""
        filters = self.filters and self.filters.by_name(genes)
        return replace(self, filters=filters, inverse_pca=self.inverse_pca and self.inverse_pca.by_name(genes))

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The options of every step that is used."""
        steps = {name: vars(step) for name, step in vars(self).items() if step is not None}
        return steps | {"importance": self.importance.recorded}

    @classmethod
    def of(cls, steps: Mapping[str, Mapping[str, Any]]) -> Self:
        """The recipe with these `steps`; an empty step was left out.

        Raises
        ------
        ValueError
            If the model cannot be created again.
        """
        importance = dict(steps["importance"])
        if not importance.pop("is_repeatable", False):
            raise ValueError(
                "the selection used your own model object, or option objects, which cannot be created again for every "
                "split; pass genes= to evaluate a fixed list."
            )
        steps = {**steps, "importance": importance}
        made: dict[str, Any] = {n: kind(**steps[n]) if steps.get(n) else None for n, kind in STEPS.items()}
        return cls(**made)
