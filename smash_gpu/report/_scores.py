"""The score of each model in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smash_gpu import models
from smash_gpu.selection import consensus


def score(how: Mapping[str, Any]) -> str:
    """The score that `tl.importance` computes with these recorded options, as the facts of its models say it."""
    model, options, own = how.get("model"), how.get("options"), how.get("score_in_words", {})
    n_models = int(how.get("n_models", 1))
    mean = f"; mean of {n_models} models" if n_models > 1 else ""
    if not isinstance(model, tuple):
        tuned = f"; options tuned: {_listed(options)}" if how.get("tuned") else ""
        return (own or _of_model(model, options)) + mean + tuned
    options, own = (value if isinstance(value, Mapping) else {} for value in (options, own))
    each = [f"{name}: {own.get(name) or _of_model(name, options.get(name))}" for name in model]
    if how.get("tuned"):
        each = [f"{said}, options tuned: {_listed(options.get(name))}" for name, said in zip(model, each, strict=True)]
    return f"{consensus.IN_WORDS} ({'; '.join(each)}{mean})"


def _of_model(name: Any, options: Any) -> str:
    return models.facts_of(str(name), options if isinstance(options, Mapping) else {}).score_in_words


def _listed(options: Any) -> str:
    named = options.items() if isinstance(options, Mapping) else ()
    return ", ".join(f"{name} = {value}" for name, value in named) or "the defaults are the best"
