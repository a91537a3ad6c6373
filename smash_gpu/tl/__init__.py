"""Scores, markers and their evaluation."""

from smash_gpu.tl._evaluate import evaluate
from smash_gpu.tl._smash import importance, rank_markers, smash

__all__ = ["evaluate", "importance", "rank_markers", "smash"]
