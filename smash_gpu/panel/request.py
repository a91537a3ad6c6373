"""The request for a panel: its size, constraints and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from smash_gpu.data.splits import MIN_SAMPLE_FRACTION
from smash_gpu.genes import filters as gene_filters
from smash_gpu.genes.lists import listed
from smash_gpu.genes.values import PerGene, per_gene
from smash_gpu.panel.failure import rate_of
from smash_gpu.panel.probe_ranges import End, checked
from smash_gpu.panel.quotas import Quota, quotas_of
from smash_gpu.panel.variation import PC, TARGETS
from smash_gpu.runtime.whole import require_real, require_whole
from smash_gpu.runtime.words import did_you_mean, names_of, not_an_option, not_one_of

ANY = (0.0, np.inf)
MIN_CELLS_PER_SAMPLE = 5
MIN_CELLS = 2  # of a class, since one cell has no variance
MUST, WANTED, ORDINARY, SPARE, OUT = range(5)
TIERS = {"must": MUST, "wanted": WANTED, "spare": SPARE}
LISTS = {"exclude_families": names_of, "ignore": names_of} | dict.fromkeys(
    ("include", "extend", "exclude", "unavailable"), listed
)
NUMBERS = ("off_target", "weight_key", "cost_key")
EXCLUDED = ("mitochondrial", "ribosomal", "heat_shock", "housekeeping")


@dataclass(frozen=True)
class Request:
    """See `smash_gpu.tl.panel` for the parameters."""

    n_genes: int = 100
    nested: bool = False
    tau: float | None = None
    variation: float = 0.0
    variation_target: str = PC
    tune: bool = False
    prior: float = 0.0
    ignore: tuple[str, ...] = ()
    class_weights: Mapping[str, float] = field(default_factory=dict)
    pair_weights: Mapping[tuple[str, str], float] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    extend: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    off_target: str | PerGene | None = None
    max_off_target: float = 0.0
    exclude_families: tuple[str, ...] = EXCLUDED
    species: str = "auto"
    priorities: Mapping[str, str] = field(default_factory=dict)
    mean_counts: tuple[float, float] = ANY
    max_counts: tuple[float, float] = ANY
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    weight_key: str | PerGene | None = None
    cost_key: str | PerGene | None = None
    budget: float | None = None
    max_transcripts: float | Mapping[str, float] | None = None
    probe_sets: tuple[End, End] | None = None
    failure_rate: float | str | PerGene | None = None
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    positive_only: bool = False
    min_markers: int | Mapping[str, int] = 0
    sample_fraction: float = MIN_SAMPLE_FRACTION
    min_cells_per_sample: int = MIN_CELLS_PER_SAMPLE

    def __post_init__(self) -> None:
        require_whole(n_genes=self.n_genes)
        if self.n_genes < 1:
            raise ValueError(f"n_genes={self.n_genes} is too low; a panel needs at least one gene.")
        if self.tau is not None and not self.tau > 0:
            raise ValueError(f"tau={self.tau} is invalid; it must be above 0.")
        require_real(variation=self.variation)
        if not 0 <= self.variation <= 1:
            raise ValueError(f"variation={self.variation} must be a fraction from 0 to 1, not a percentage.")
        if self.variation_target not in TARGETS:
            raise ValueError(not_one_of("variation_target", self.variation_target, TARGETS))
        if self.variation_target != PC and not (self.variation or self.tune):
            raise ValueError(
                f"variation_target={self.variation_target!r} says what variation= is of; pass variation= above 0 too, "
                "or leave it out."
            )
        if not 0 <= self.sample_fraction <= 1:
            raise ValueError(
                f"sample_fraction={self.sample_fraction} must be a fraction from 0 to 1, not a percentage."
            )
        if (self.cost_key is None) != (self.budget is None):
            raise ValueError("cost_key= (a column of adata.var) and budget= (a sum) go together; pass both or neither.")
        _check_caps("max_transcripts", self.max_transcripts)
        _check_caps("budget", self.budget)
        for what, window in {"mean_counts": self.mean_counts, "max_counts": self.max_counts, **self.limits}.items():
            if not window[0] <= window[1]:
                raise ValueError(f"{what}={window} is empty: no number lies between {window[0]} and {window[1]}.")
        gene_filters.check_families(self.exclude_families, self.species, what="exclude_families")
        wrong = sorted(set(self.priorities.values()) - set(TIERS))
        if wrong:
            near = did_you_mean(str(wrong[0]), TIERS)
            raise ValueError(f"unknown priority {wrong[0]!r}; a priority is {', '.join(TIERS)}.{near}")

    @property
    def is_capped(self) -> bool:
        """Whether there is an upper limit on counts, transcripts or costs."""
        ends = self.mean_counts[1], self.max_counts[1]
        return min(ends) < np.inf or self.max_transcripts is not None or self.budget is not None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """A request from a user's options: lists become tuples, open ends become ±∞, None becomes the default.

        Raises
        ------
        TypeError
            For an unknown option, or a string instead of a list.
        """
        names = [f.name for f in fields(cls)]
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise TypeError(not_an_option("a panel", unknown[0], names))
        given = {name: value for name, value in options.items() if value is not None}
        lists = {name: as_list(given[name], name) for name, as_list in LISTS.items() if name in given}
        numbers = {name: per_gene(given[name], name) for name in NUMBERS if name in given}
        windows = {name: window(given[name], name) for name in ("mean_counts", "max_counts") if name in given}
        limits = {column: window(ends, f"limits[{column!r}]") for column, ends in given.get("limits", {}).items()}
        quotas = quotas_of(given.get("quotas", {}))
        if "probe_sets" in given:
            given["probe_sets"] = checked(given["probe_sets"])
        if "failure_rate" in given:
            given["failure_rate"] = rate_of(given["failure_rate"])
        return cls(**given | lists | numbers | windows | {"limits": limits, "quotas": quotas})


def _check_caps(what: str, caps: float | Mapping[str, float] | None) -> None:
    for cap in caps.values() if isinstance(caps, Mapping) else [caps]:
        if cap is not None and not cap >= 0:
            raise ValueError(f"{what} holds {cap}; a limit is 0 or more.")


def window(ends: Any, what: str) -> tuple[float, float]:
    """``(low, high)`` as numbers; None, an open end, becomes ±∞.

    Raises
    ------
    TypeError
        If it is not a pair.
    """
    try:
        low, high = ends
    except (TypeError, ValueError):
        raise TypeError(f"{what}={ends!r} is not a range; give (low, high), with None for an open end.") from None
    return (-np.inf if low is None else float(low), np.inf if high is None else float(high))
