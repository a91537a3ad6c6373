"""The trials of a search for the best options, drawn and kept by Optuna."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from smash_gpu.errors import ChangedError
from smash_gpu.models.search import Choice, Range, Space, defaults
from smash_gpu.runtime.progress import track
from smash_gpu.runtime.whole import require_whole

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("number", "value", "seconds", "error", "options")
FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)  # of one trial, such as too little memory
SECONDS, ERROR, MADE_OF = "seconds", "error", "made_of"


@dataclass(frozen=True)
class Budget:
    """How long to search; at least one trial is made.

    Attributes
    ----------
    n_trials
        Finished and failed trials, those of a stopped run included.
    timeout
        Seconds after which no further trial begins; None: no limit.
    """

    n_trials: int = 30
    timeout: float | None = None

    def __post_init__(self) -> None:
        require_whole(n_trials=self.n_trials)
        if self.n_trials < 1:
            raise ValueError(f"n_trials={self.n_trials} must be at least 1.")
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout={self.timeout} must be a positive number of seconds, or None for no limit.")


@dataclass(frozen=True)
class Kept:
    """Where the trials are kept: a SQLite file of Optuna, which ``optuna-dashboard`` can show, and the study in it.

    Attributes
    ----------
    file
        None: in memory.
    study
        Name of the study.
    about
        What it is of, for people.
    """

    file: Path | None = None
    study: str = "smash-gpu"
    about: str = ""


def search(
    space: Space, judge: Callable[[dict[str, Any]], float], budget: Budget, *, random_state: int, kept: Kept
) -> pd.DataFrame:
    """Trials with the values that ``judge`` gives to options, larger is better; the defaults come first.

    If there are no more combinations than trials, each is tried once. Else they are drawn by TPE (Bergstra et al.
    2011), each with a seed of its own, so that a stopped search goes on with the same trials.

    Returns
    -------
    One row per finished trial, the first ``budget.n_trials`` if more are kept: ``number`` from 0, ``value`` (NaN if it
    failed), ``seconds``, ``error`` ("" if it did not fail), ``options`` (JSON).

    Raises
    ------
    ImportError
        If Optuna is not installed.
    RuntimeError
        If all trials failed.
    OSError
        If the file cannot be used.
    """
    require_optuna()
    with _study(kept) as study:
        _run(study, space, judge, budget, random_state)
        table = _table(study)[: budget.n_trials]
    if table["value"].isna().all():
        remedy = f"; remove {kept.file} to try again" if kept.file else ""
        raise RuntimeError(f"all {len(table)} trials failed{remedy}. The first: {table['error'].iloc[0]}")
    return table


def best(table: pd.DataFrame) -> pd.Series:
    """The first of the trials with the largest value."""
    return table.loc[table["value"].idxmax()]


def require_optuna() -> None:
    """Raise an ImportError that names the extra if Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ImportError(f"tuning needs Optuna ({error}); pip install 'smash-gpu[tune]'.") from error


@contextmanager
def _study(kept: Kept) -> Iterator[Any]:
    """The study, with Optuna's own messages off."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with _storage(kept.file) as storage:
            study = optuna.create_study(
                storage=storage, study_name=kept.study, direction="maximize", load_if_exists=True
            )
            study.set_user_attr(MADE_OF, kept.about)
            yield study
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextmanager
def _storage(file: Path | None) -> Iterator[Any]:
    import optuna
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    if file is None:
        yield optuna.storages.InMemoryStorage()
        return
    url = URL.create("sqlite", database=str(file)).render_as_string()
    try:
        storage = optuna.storages.RDBStorage(url)
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise OSError(
            f"the trials in {file} cannot be read or written ({type(error).__name__}: {error.__cause__ or error}). "
            "Make room on the disk, or remove the file to begin again."
        ) from error


def _run(study: Any, space: Space, judge: Callable, budget: Budget, random_state: int) -> None:
    from optuna.samplers import TPESampler

    distributions = {name: _distribution(one) for name, one in space.items()}
    grid, start, n_finished = _grid(space, budget.n_trials), perf_counter(), len(_finished(study))
    for number in track(range(n_finished, budget.n_trials), "tuning", unit="trial", note=lambda: _in_words(study)):
        if budget.timeout is not None and number and perf_counter() - start >= budget.timeout:
            return
        done = _finished(study)
        wanted = _first_new(grid or [defaults(space)], done)
        if wanted is None and grid:
            return
        study.sampler = TPESampler(seed=random_state + number)
        if wanted is not None and not study.get_trials(deepcopy=False, states=_states("WAITING")):
            study.enqueue_trial(wanted)
        trial = study.ask(distributions)
        same = next((one.value for one in done if one.params == trial.params), None)
        _try(study, trial, judge, same)


def _first_new(queue: list[dict[str, Any]], done: list[Any]) -> dict[str, Any] | None:
    tried = [trial.params for trial in done]
    return next((options for options in queue if options not in tried), None)


def _try(study: Any, trial: Any, judge: Callable[[dict[str, Any]], float], known: float | None) -> None:
    """One trial; ``known`` is the value of an earlier one with the same options."""
    start = perf_counter()
    try:
        value, error = judge(trial.params) if known is None else known, ""
    except ChangedError:
        raise
    except FAILURES as failure:
        value, error = math.nan, f"{type(failure).__name__}: {failure}"
    trial.set_user_attr(SECONDS, perf_counter() - start)
    trial.set_user_attr(ERROR, error)
    study.tell(trial, *([None, _states("FAIL")[0]] if error else [value]))


def _grid(space: Space, n_trials: int) -> list[dict[str, Any]]:
    """All combinations, the defaults first, if there are no more than ``n_trials``; else none."""
    choices = {name: one.values for name, one in space.items() if isinstance(one, Choice)}
    if len(choices) < len(space) or math.prod(map(len, choices.values())) > n_trials:
        return []
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def _distribution(one: Range | Choice) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(one, Choice):
        return CategoricalDistribution(one.values)
    kind: Any = IntDistribution if one.is_whole else FloatDistribution
    return kind(one.low, one.high, log=one.log)


def _states(*names: str) -> tuple[Any, ...]:
    from optuna.trial import TrialState

    return tuple(TrialState[name] for name in names)


def _finished(study: Any) -> list[Any]:
    """The trials with a value or an error; one that was stopped has neither."""
    return study.get_trials(deepcopy=False, states=_states("COMPLETE", "FAIL"))


def _table(study: Any) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (number, trial.value, trial.user_attrs[SECONDS], trial.user_attrs[ERROR], json.dumps(trial.params))
        for number, trial in enumerate(_finished(study))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": float, "seconds": float})


def _in_words(study: Any) -> str:
    values = [trial.value for trial in _finished(study) if trial.value is not None]
    return f"best {max(values):.4f}" if values else ""


def options_of(row: Mapping[str, Any] | pd.Series) -> dict[str, Any]:
    """The options of a row of the table."""
    return json.loads(row["options"])
