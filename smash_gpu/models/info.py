"""What the program needs to know about a model before creating it; imports no model library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from smash_gpu.models.search import Space, defaults

BYTES_IN_MEMORY = 4 * 1.8  # float32 of all cells, and a copy of the training cells
EXPRESSION = "× mean z-score of the gene in the class"
SEPARATION = "× how well the gene tells the class from each other class, negative where it is lower"
SET_BY_THE_CALLER = {"random_state", "device"}
PLAIN = (bool, int, float, str)
SOFTMAX_RULES = ("torch", "tf")  # of DeepLIFT; here, since its own module imports torch
SHAPLEY = "mean |Shapley value| of the gene for the class"


@dataclass(frozen=True)
class Facts:
    """The facts of a model. Your own model may state them in its attribute ``facts``; otherwise the defaults apply.

    Attributes
    ----------
    max_cells
        Maximum number of training and held-out cells, unless the user sets ``max_cells``.
    reads_parts
        Whether ``X`` may be in a file; `Model` lists the operations that it then supports.
    bytes_per_value
        Bytes of memory per cell and candidate gene, including the 4 bytes of the expression.
    bytes_per_class
        Bytes of memory per cell and class, needed even if the expression is in a file.
    bytes_at_least
        Bytes of memory that do not depend on the data.
    score_in_words
        What its importances are, in words for the report.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> facts = smg.models.Facts(max_cells=50_000, score_in_words="distance of means")
    >>> facts.reads_parts
    False
    """

    max_cells: float = math.inf
    reads_parts: bool = False
    bytes_per_value: float = BYTES_IN_MEMORY
    bytes_per_class: float = 0
    bytes_at_least: int = 0
    score_in_words: str = "importance from a user-defined model"


@dataclass(frozen=True)
class ModelInfo:
    """A model that is available by name.

    Attributes
    ----------
    create
        ``create(random_state=, device=, **options)`` creates it; its libraries are imported only then.
    facts
        Its facts, or a function ``facts(**options)`` if they depend on its options.
    paper
        The options of the paper, where our defaults differ.
    options
        ``options(device, given)``: names of all options, those of ``given`` that the library takes included. None:
        the parameters of ``create``.
    search
        The options that `tl.tune` tunes, each with its `Range` or `Choice`. Empty: the model cannot be tuned.

    Examples
    --------
    >>> import smash_gpu as smg
    >>> smg.models.MODELS["rf"].facts_with({}).max_cells
    100000
    """

    create: Callable[..., Any]
    facts: Facts | Callable[..., Facts]
    paper: Mapping[str, Any] = field(default_factory=dict)
    options: Callable[[str, Mapping[str, Any]], Iterable[str]] | None = None
    search: Space = field(default_factory=dict)

    def facts_with(self, options: Mapping[str, Any]) -> Facts:
        """The facts of the model with these options."""
        return self.facts if isinstance(self.facts, Facts) else self.facts(**options)

    @property
    def defaults(self) -> dict[str, Any]:
        """The defaults of its options, as far as ``create`` and ``search`` state them as plain values."""
        stated = {name: one.default for name, one in signature(self.create).parameters.items()}
        plain = {name: value for name, value in stated.items() if value is None or isinstance(value, PLAIN)}
        return {name: value for name, value in plain.items() if name not in SET_BY_THE_CALLER} | defaults(self.search)

    def options_on(self, device: str, given: Mapping[str, Any]) -> set[str]:
        """The names of its options on a device."""
        named = parameters_of(self.create)
        return (named if self.options is None else named | set(self.options(device, given))) - SET_BY_THE_CALLER


def parameters_of(function: Callable[..., Any]) -> set[str]:
    """Names of the parameters that a function takes by name."""
    every = signature(function).parameters.values()
    return {one.name for one in every if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
