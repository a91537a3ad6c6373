"""Scores, markers and their evaluation."""

from typing import TYPE_CHECKING

from smash_gpu.runtime.deferred import names_from

if TYPE_CHECKING:
    from smash_gpu.tl._evaluate import evaluate
    from smash_gpu.tl._importance import importance
    from smash_gpu.tl._nsforest import nsforest_metrics
    from smash_gpu.tl._panel import panel
    from smash_gpu.tl._rank_markers import rank_markers
    from smash_gpu.tl._smash import smash
    from smash_gpu.tl._spapros import spapros_metrics
    from smash_gpu.tl._stability import stability
    from smash_gpu.tl._transfer import transfer
    from smash_gpu.tl._tune import tune
    from smash_gpu.tl._validate import validate

__all__ = [
    "evaluate",
    "importance",
    "nsforest_metrics",
    "panel",
    "rank_markers",
    "smash",
    "spapros_metrics",
    "stability",
    "transfer",
    "tune",
    "validate",
]
__getattr__ = names_from(  # so that a step does not import all others
    __name__,
    {
        "_evaluate": ["evaluate"],
        "_importance": ["importance"],
        "_nsforest": ["nsforest_metrics"],
        "_panel": ["panel"],
        "_rank_markers": ["rank_markers"],
        "_smash": ["smash"],
        "_spapros": ["spapros_metrics"],
        "_stability": ["stability"],
        "_transfer": ["transfer"],
        "_tune": ["tune"],
        "_validate": ["validate"],
    },
)


def __dir__() -> list[str]:
    return __all__
