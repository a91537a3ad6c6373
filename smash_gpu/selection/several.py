"""Several models at once: their names, and the options of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from smash_gpu import models
from smash_gpu.runtime.words import did_you_mean, join_names

One = str | models.Model
Models = One | Sequence[One]


def as_list(model: Models) -> list[One]:
    """The models as a list; of one model a list with one.

    Raises
    ------
    ValueError
        If there is none, one is listed twice, or the name of one of several has a "/".
    """
    found = list(model) if isinstance(model, list | tuple) else [model]
    if not found:
        raise ValueError(f"model is an empty list; name one or more of {join_names(models.MODELS)}.")
    for number, one in enumerate(found):
        if any(one is other or (isinstance(one, str) and one == other) for other in found[:number]):
            raise ValueError(
                f"model lists {_name(one)!r} twice; list each model once. For the mean of the same model with several "
                "seeds pass n_models=."
            )
        if len(found) > 1 and "/" in _name(one):
            raise ValueError(
                f"model lists {_name(one)!r}, but h5ad and zarr hold no name with / in it. Give the model another name "
                "in smash_gpu.models.MODELS."
            )
    return found


def names_of(model: Models) -> tuple[str, ...]:
    """Names of the models, of objects the names of their classes; numbered where several have the same class."""
    names = [_name(one) for one in as_list(model)]
    count, seen = Counter(names), Counter[str]()
    for number, name in enumerate(names):
        seen[name] += 1
        names[number] = f"{name} {seen[name]}" if count[name] > 1 else name
    return tuple(names)


def options_of(model: Models, options: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The options of each model: of a list, ``options`` holds a mapping for each model that has any, by its name.

    Raises
    ------
    TypeError
        If a name is not that of a model in the list, or its options are not a mapping.
    """
    if not isinstance(model, list | tuple):
        return [options]
    names = names_of(model)
    for name, value in options.items():
        if name not in names:
            raise TypeError(
                f"model_options: {name!r} is not one of the models {join_names(names)}.{did_you_mean(name, names)} "
                f"Of a list of models it holds the options of each by name: {{{names[0]!r}: {{…}}}}."
            )
        if not isinstance(value, Mapping):
            raise TypeError(f"model_options[{name!r}]={value!r} must be a mapping with the options of this model.")
    return [dict(options.get(name, {})) for name in names]


def each(model: Models, options: Mapping[str, Any]) -> list[tuple[One, Mapping[str, Any]]]:
    """Every model with its options."""
    return list(zip(as_list(model), options_of(model, options), strict=True))


def in_words(model: Models) -> str:
    """The name of the model, or all names of a list with " + " between them."""
    return " + ".join(names_of(model))


def _name(model: One) -> str:
    return model if isinstance(model, str) else type(model).__name__
