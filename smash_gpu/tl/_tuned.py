"""The options of a model, given or tuned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anndata import AnnData

from smash_gpu.annotated import of_tuning, slots
from smash_gpu.errors import NotFoundError, warn
from smash_gpu.get import tuned_options
from smash_gpu.runtime.words import not_one_of
from smash_gpu.selection import several
from smash_gpu.selection.options import Importance

TUNED = "tuned"
Options = Mapping[str, Any] | str | None


def given(options: Options) -> dict[str, Any]:
    """A user's options; none yet for "tuned", which `with_tuned` finds.

    Raises
    ------
    ValueError
        For any other word.
    """
    if isinstance(options, str):
        if options != TUNED:
            raise ValueError(
                f"{not_one_of('model_options', options, [TUNED])} Else pass a mapping from names to values."
            )
        return {}
    return dict(options or {})


def with_tuned(how: Importance, options: Options, adata: AnnData, groupby: str, key: str) -> Importance:
    """With the best options of the last `tl.tune` of this model, if ``options`` is "tuned".

    Raises
    ------
    ValueError, NotFoundError
        For an object, or if this model was not tuned.
    """
    if options != TUNED:
        return how
    if not all(isinstance(one, str) for one in several.as_list(how.model)):
        raise ValueError(f"model_options={TUNED!r} needs a model given by name; set the options on your own object.")
    found = {name: _tuned(name, adata, groupby, key) for name in how.names}
    return replace(how, options=found if how.is_consensus else found[how.names[0]], tuned=True)


def _tuned(model: str, adata: AnnData, groupby: str, key: str) -> dict[str, Any]:
    """The best options of one model, with a warning if they were found for something else."""
    try:
        found = tuned_options(adata, model, key=key)
    except NotFoundError as error:
        raise NotFoundError(f"{error} Or pass model_options= with names and values.") from None
    slot = of_tuning.slot_of(key)
    column = slots.recorded(adata, slot, model).get("groupby")
    if column != groupby:
        warn(
            f"the options of the model {model!r} were tuned for the column {column!r}, not for {groupby!r}. Run "
            "tl.tune for this column."
        )
    elif changed := slots.changes(adata, slot, model):
        warn(f"the options of the model {model!r} were tuned on other data: {changed} since. Run tl.tune again.")
    return found
