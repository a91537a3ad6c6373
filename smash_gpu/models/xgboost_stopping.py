"""When boosting stops, and how far it is: callbacks of ``xgboost.train``."""

from __future__ import annotations

from typing import Any

from xgboost.callback import EarlyStopping, TrainingCallback

from smash_gpu.runtime.progress import track

HELD_OUT = "held_out"


def stopping(rounds: int, tol: float) -> TrainingCallback:
    """Stops after so many rounds in a row that are not better by more than ``tol`` than the last one that was.

    By XGBoost's metric; the trees up to that round are kept.
    """
    return EarlyStopping(rounds=rounds, min_delta=tol, save_best=True)


class Progress(TrainingCallback):
    """Shows how many of the rounds are done."""

    def __init__(self, n_rounds: int) -> None:
        super().__init__()
        self.rounds = track(range(n_rounds), "boosting", unit="round")

    def before_training(self, model: Any) -> Any:
        """Begin the bar."""
        next(self.rounds, None)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Go on by one round; never stops."""
        next(self.rounds, None)
        return False

    def after_training(self, model: Any) -> Any:
        """End the bar."""
        self.rounds.close()  # type: ignore[attr-defined]
        return model
