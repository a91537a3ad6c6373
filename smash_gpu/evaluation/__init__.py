"""How well gene lists tell the groups apart: splits, classifiers, readings, intervals, chance."""

from smash_gpu.evaluation.classifiers import CLASSIFIERS, N_NEIGHBORS, predict
from smash_gpu.evaluation.cross_validation import Evaluation, Judging, evaluate
from smash_gpu.evaluation.degrade import INTACT, Condition
from smash_gpu.evaluation.metrics import READINGS, confusion_of, per_group, readings, readings_of

TEST_FRACTION = 0.3
PAPER_SEED = 42

__all__ = [
    "CLASSIFIERS",
    "INTACT",
    "N_NEIGHBORS",
    "PAPER_SEED",
    "READINGS",
    "TEST_FRACTION",
    "Condition",
    "Evaluation",
    "Judging",
    "confusion_of",
    "evaluate",
    "per_group",
    "predict",
    "readings",
    "readings_of",
]
