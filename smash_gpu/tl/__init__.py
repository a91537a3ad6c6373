"""Scores, markers and their evaluation."""

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


def __dir__() -> list[str]:
    return __all__
