"""The score of each model in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smash_gpu import models


def score(how: Mapping[str, Any]) -> str:
    """The score that `tl.importance` computes with these recorded options, as the model's facts say it."""
    options = how.get("options")
    facts = models.facts_of(str(how.get("model")), options if isinstance(options, Mapping) else {})
    said = str(how.get("score_in_words", facts.score_in_words))
    n_models = int(how.get("n_models", 1))
    said += f"; mean of {n_models} models" if n_models > 1 else ""
    return f"{said}; options tuned: {_listed(options)}" if how.get("tuned") else said


def _listed(options: Any) -> str:
    named = options.items() if isinstance(options, Mapping) else ()
    return ", ".join(f"{name} = {value}" for name, value in named) or "the defaults are the best"
