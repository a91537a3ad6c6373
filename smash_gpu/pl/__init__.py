"""Figures. Each function takes ``ax=`` and returns the matplotlib ``Axes`` on which it drew."""

from smash_gpu.pl._confusion import confusion
from smash_gpu.pl._importance import importance
from smash_gpu.pl._learning_curve import learning_curve
from smash_gpu.pl._markers import dotplot, markers
from smash_gpu.pl._overlap import overlap
from smash_gpu.pl._panel import panel_curve, panel_pairs, panel_resolution
from smash_gpu.pl._panel_classes import panel_dotplot, panel_heatmap
from smash_gpu.pl._panel_levels import panel_crowding, panel_levels
from smash_gpu.pl._panel_umap import panel_umap
from smash_gpu.pl._transfer_map import transfer_map
from smash_gpu.pl._unresolved_pairs import unresolved_pairs

__all__ = [
    "confusion",
    "dotplot",
    "importance",
    "learning_curve",
    "markers",
    "overlap",
    "panel_crowding",
    "panel_curve",
    "panel_dotplot",
    "panel_heatmap",
    "panel_levels",
    "panel_pairs",
    "panel_resolution",
    "panel_umap",
    "transfer_map",
    "unresolved_pairs",
]


def __dir__() -> list[str]:
    return __all__
