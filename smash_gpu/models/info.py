"""What the program needs to know about a model before creating it; imports no model library."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

BYTES_IN_MEMORY = 4 * 1.8  # float32 of all cells, and a copy of the training cells
EXPRESSION = "× mean z-score of the gene in the group"
SHAPLEY = "mean |Shapley value| of the gene for the group"


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
    """

    create: Callable[..., Any]
    facts: Facts | Callable[..., Facts]
    paper: Mapping[str, Any] = field(default_factory=dict)

    def facts_with(self, options: Mapping[str, Any]) -> Facts:
        """The facts of the model with these options."""
        return self.facts if isinstance(self.facts, Facts) else self.facts(**options)
