"""The options of the four steps, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from smash_gpu import genes, models, pca, ranking


@dataclass(frozen=True)
class Filters:
    """Which genes can be markers; see `smash_gpu.pp.filter_genes` for the parameters."""

    min_fraction: float = genes.MIN_FRACTION
    max_fraction: float = genes.MAX_FRACTION
    max_groups: float = genes.MAX_GROUPS
    families: tuple[str, ...] = genes.FAMILY_NAMES
    species: str = "auto"
    exclude: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = {"species": ("auto", *genes.FAMILIES), "families": genes.FAMILY_NAMES}
        wrong = [name for name in self.families if name not in known["families"]]
        if wrong:
            raise ValueError(f"families={wrong} are not among {', '.join(known['families'])}.")
        if self.species not in known["species"]:
            raise ValueError(f"species={self.species!r} is not one of {', '.join(known['species'])}.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """From a user's mapping; lists become tuples.

        Raises
        ------
        TypeError
            For an unknown option, or a string where a list of genes belongs.
        """
        names = [f.name for f in fields(cls)]
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise TypeError(f"filters has no option {', '.join(unknown)}; it has {', '.join(names)}.")
        return cls(**{name: _as_tuple(name, value) for name, value in options.items()})


@dataclass(frozen=True)
class InversePCA:
    """See `smash_gpu.pp.inverse_pca` for the parameters."""

    n_top: int = pca.N_TOP
    variance: float = pca.VARIANCE
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Importance:
    """How genes are scored; see `smash_gpu.tl.importance` for the parameters."""

    model: str | models.Model = models.DEFAULT
    options: Mapping[str, Any] = field(default_factory=dict)
    n_models: int = 1
    random_state: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) and self.n_models > 1:
            raise ValueError("n_models > 1 needs a model's name: an object of your own cannot be given new seeds.")


@dataclass(frozen=True)
class Ranking:
    """How scores become markers; see `smash_gpu.tl.rank_markers` for the parameters."""

    n_top: int = 5
    unique: bool = False
    positive_only: bool = False
    sample_fraction: float = ranking.MIN_SAMPLE_FRACTION
    min_cells_per_sample: int = 1


STEPS = {"filters": Filters, "inverse_pca": InversePCA, "importance": Importance, "ranking": Ranking}


@dataclass(frozen=True)
class Recipe:
    """All four steps; None leaves a filter out."""

    filters: Filters | None = field(default_factory=Filters)
    inverse_pca: InversePCA | None = field(default_factory=InversePCA)
    importance: Importance = field(default_factory=Importance)
    ranking: Ranking = field(default_factory=Ranking)

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The options of every step that is not left out."""
        return {name: vars(step) for name, step in vars(self).items() if step is not None}

    @classmethod
    def of(cls, steps: Mapping[str, Mapping[str, Any]]) -> Self:
        """The recipe with these `steps`; an empty one was left out.

        Raises
        ------
        ValueError
            If the model was an object, which cannot be made again.
        """
        if steps["importance"].get("model") not in models.MODELS:
            raise ValueError(
                "the selection used a model object of your own, which cannot be made again for every split: "
                "pass genes= to evaluate a list as it is."
            )
        return cls(**{name: kind(**steps[name]) if steps.get(name) else None for name, kind in STEPS.items()})


def _as_tuple(name: str, value: Any) -> Any:
    if name not in ("families", "exclude", "keep"):
        return value
    if isinstance(value, str):
        raise TypeError(f"{name}={value!r} is one string; give a list of names.")
    return tuple(map(str, value))
