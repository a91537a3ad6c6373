"""Results as values."""

from typing import TYPE_CHECKING

from smash_gpu.runtime.deferred import names_from

if TYPE_CHECKING:
    from smash_gpu.get._comparison import comparison, differences, learning_curve
    from smash_gpu.get._evaluation import evaluation, evaluation_options, evaluation_panels, evaluation_splits
    from smash_gpu.get._groups import confusion, group_metrics, unresolved_pairs
    from smash_gpu.get._markers import accuracy, marker_panel, markers, markers_dict
    from smash_gpu.get._panel import panel, panel_table
    from smash_gpu.get._peers import nsforest_metrics, spapros_metrics
    from smash_gpu.get._stability import panel_overlap, stability, substitutes
    from smash_gpu.get._transfer import transfer
    from smash_gpu.get._tuning import tuned_options, tuning
    from smash_gpu.get._validation import validation

__all__ = [
    "accuracy",
    "comparison",
    "confusion",
    "differences",
    "evaluation",
    "evaluation_options",
    "evaluation_panels",
    "evaluation_splits",
    "group_metrics",
    "learning_curve",
    "marker_panel",
    "markers",
    "markers_dict",
    "nsforest_metrics",
    "panel",
    "panel_overlap",
    "panel_table",
    "spapros_metrics",
    "stability",
    "substitutes",
    "transfer",
    "tuned_options",
    "tuning",
    "unresolved_pairs",
    "validation",
]
__getattr__ = names_from(  # so that a step does not import all others
    __name__,
    {
        "_comparison": ["comparison", "differences", "learning_curve"],
        "_evaluation": ["evaluation", "evaluation_options", "evaluation_panels", "evaluation_splits"],
        "_groups": ["confusion", "group_metrics", "unresolved_pairs"],
        "_markers": ["accuracy", "marker_panel", "markers", "markers_dict"],
        "_panel": ["panel", "panel_table"],
        "_peers": ["nsforest_metrics", "spapros_metrics"],
        "_stability": ["panel_overlap", "stability", "substitutes"],
        "_transfer": ["transfer"],
        "_tuning": ["tuned_options", "tuning"],
        "_validation": ["validation"],
    },
)


def __dir__() -> list[str]:
    return __all__
