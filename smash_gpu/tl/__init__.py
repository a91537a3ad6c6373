"""Scores, markers and their evaluation."""

from smash_gpu.tl._evaluate import evaluate
from smash_gpu.tl._panel import panel
from smash_gpu.tl._smash import importance, rank_markers, smash

__all__ = ["evaluate", "importance", "panel", "rank_markers", "smash"]
