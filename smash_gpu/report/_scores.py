"""The score of each model in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXPRESSION = "× mean z-score of the gene in the group"
SHAPLEY = "mean |Shapley value| of the gene for the group"
GAINS = {"gain": "mean gain of the gene's splits", "total_gain": "summed gain of the gene's splits"}
DEFAULT_GAIN, BY_EXPRESSION = "total_gain", True  # of models.boosted.Boosted and models.network.Network


def score(how: Mapping[str, Any]) -> str:
    """The score that `tl.importance` computes with these recorded options."""
    options = how.get("options")
    said = _one(str(how.get("model")), options if isinstance(options, Mapping) else {})
    models = int(how.get("n_models", 1))
    return f"{said}; mean of {models} models" if models > 1 else said


def _one(model: str, options: Mapping[str, Any]) -> str:
    if model in ("rf", "brf"):
        return f"Gini importance in the {'balanced ' * (model == 'brf')}random forest {EXPRESSION}"
    if model == "xgboost":
        kind = options.get("importance", DEFAULT_GAIN)
        return (
            f"{SHAPLEY}, by TreeSHAP"
            if kind == "shap"
            else f"{GAINS.get(kind, kind)} in the boosted trees {EXPRESSION}"
        )
    if model == "dnn":
        weighed = options.get("by_expression", BY_EXPRESSION)
        return f"{SHAPLEY}, by DeepLIFT through the network" + f" {EXPRESSION}" * bool(weighed)
    return "importance from a user-defined model"
