"""What the program must know of a model before it makes one: light to import, whatever the model's library is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

BYTES_IN_MEMORY = 4 * 1.8  # float32 of all cells, and a copy of the cells to learn from
EXPRESSION = "× mean z-score of the gene in the group"
SHAPLEY = "mean |Shapley value| of the gene for the group"


@dataclass(frozen=True)
class Facts:
    """The facts of a model. An object of your own states them as its attribute ``facts``, or these defaults hold.

    Attributes
    ----------
    max_cells
        Cells that it learns from and is judged on where the user sets no ``max_cells``.
    reads_parts
        Whether ``X`` may lie in a file; see `Model` for what may be done with it then.
    bytes_per_value
        Memory for each candidate gene of each of these cells, the 4 bytes of the expression among them.
    bytes_per_class
        Memory for each class of each of these cells, in memory also where the expression is in a file.
    bytes_at_least
        Memory that does not depend on the data.
    score_in_words
        What its importances are, as the report says it.
    """

    max_cells: float = math.inf
    reads_parts: bool = False
    bytes_per_value: float = BYTES_IN_MEMORY
    bytes_per_class: float = 0
    bytes_at_least: int = 0
    score_in_words: str = "importance from a user-defined model"


@dataclass(frozen=True)
class ModelInfo:
    """A model that has a name.

    Attributes
    ----------
    create
        ``create(random_state=, device=, **options)`` makes it; what that imports is imported only then.
    facts
        Its facts, or a function ``facts(**options)`` where they depend on its options.
    paper
        The options with which it is the paper's, where our defaults differ.
    """

    create: Callable[..., Any]
    facts: Facts | Callable[..., Facts]
    paper: Mapping[str, Any] = field(default_factory=dict)

    def facts_with(self, options: Mapping[str, Any]) -> Facts:
        """The facts of the model with these options."""
        return self.facts if isinstance(self.facts, Facts) else self.facts(**options)
