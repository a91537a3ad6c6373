"""Which options XGBoost takes, and which of its values are refused."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from smash_gpu.models.info import PLAIN
from smash_gpu.runtime.whole import require_at_least, require_real
from smash_gpu.runtime.words import not_one_of

OBJECTIVE, BOOSTERS = "multi:softprob", ("gbtree", "dart")
TOL = 0.01


def check_given(options: Mapping[str, Any]) -> None:
    """Refuse parameters of XGBoost that are no choice here."""
    if (options.get("objective") or OBJECTIVE) != OBJECTIVE:
        raise ValueError(f"objective={options['objective']!r}: the model always predicts classes; omit objective=.")
    if (options.get("booster") or BOOSTERS[0]) not in BOOSTERS:
        said = not_one_of("booster", options["booster"], BOOSTERS)
        raise ValueError(f"{said} Genes are ranked by the splits of trees.")


def check_stopping(rounds: int | None, tol: float) -> None:
    """Refuse an impossible ``tol``, and one that nothing would use."""
    require_real(tol=tol)
    if not 0 <= tol < np.inf:
        raise ValueError(f"tol={tol} must be at least 0, and finite.")
    if rounds is not None:
        require_at_least(1, early_stopping_rounds=rounds)
    elif tol != TOL:
        raise ValueError(f"tol={tol} needs early stopping; pass early_stopping_rounds= too, or omit tol=.")


def option_names(device: str, given: Mapping[str, Any], *, own: set[str]) -> set[str]:
    """The parameters of XGBoost's trees, and those of ``given`` that it uses; it has no list of all of them.

    It names those that it does not use, and refuses impossible values, when it trains, so it does that on two cells.

    Parameters
    ----------
    own
        Names of the options of `Boosted`, which are no parameters of XGBoost or are checked there.

    Raises
    ------
    ValueError
        For a value that XGBoost refuses.
    """
    from xgboost import Booster, DMatrix

    check_given(given)
    smallest = {"objective": OBJECTIVE, "num_class": 2, "device": device, "nthread": 1, "verbosity": 1}
    cells = DMatrix(np.eye(2, dtype=np.float32), np.arange(2))
    known = set(_names_in(json.loads(Booster(smallest, [cells]).save_config())["learner"]["gradient_booster"]))
    others = {name: given[name] for name in given if name not in known | own}
    tried = others | {n: given[n] for n in known & set(given) if isinstance(given[n], PLAIN) and "constraint" not in n}
    if not tried:
        return known
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            Booster(smallest | tried, [cells]).update(cells, 0)
        except ValueError as error:  # with a stack trace
            why = re.sub(r"^\[[^]]*\] \S+: ", "", str(error).partition("\n")[0])
            raise ValueError(f"model_options: XGBoost refuses {_in_words(tried)}: {why}") from None
    complaints = " ".join(str(one.message) for one in said if "not used" in str(one.message))
    return known | set(others) - set(re.findall('"(.*?)"', complaints))


def _in_words(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _names_in(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _names_in(value)
        else:
            yield name
