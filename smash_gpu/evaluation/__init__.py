"""How well gene lists separate the groups: splits, classifiers, metrics, intervals, random panels."""

from typing import TYPE_CHECKING

from smash_gpu.runtime.deferred import names_from

if TYPE_CHECKING:
    from smash_gpu.evaluation.classifiers import CLASSIFIERS, N_NEIGHBORS, predict
    from smash_gpu.evaluation.cross_validation import Evaluation, evaluate
    from smash_gpu.evaluation.judged import not_judged
    from smash_gpu.evaluation.judging import INTACT, Condition, Judging
    from smash_gpu.evaluation.metrics import METRICS, confusion_of, metrics_of, metrics_of_labels, per_group
    from smash_gpu.evaluation.splitting import PAPER_SEED, PROTOCOLS, TEST_FRACTION, Splitting, in_words

__all__ = [
    "CLASSIFIERS",
    "INTACT",
    "N_NEIGHBORS",
    "PAPER_SEED",
    "METRICS",
    "PROTOCOLS",
    "Splitting",
    "TEST_FRACTION",
    "Condition",
    "Evaluation",
    "Judging",
    "confusion_of",
    "evaluate",
    "in_words",
    "not_judged",
    "per_group",
    "predict",
    "metrics_of_labels",
    "metrics_of",
]
__getattr__ = names_from(
    __name__,
    {
        "classifiers": ("CLASSIFIERS", "N_NEIGHBORS", "predict"),
        "cross_validation": ("Evaluation", "evaluate"),
        "judged": ("not_judged",),
        "judging": ("INTACT", "Condition", "Judging"),
        "metrics": ("METRICS", "confusion_of", "metrics_of", "metrics_of_labels", "per_group"),
        "splitting": ("PAPER_SEED", "PROTOCOLS", "TEST_FRACTION", "Splitting", "in_words"),
    },
)
