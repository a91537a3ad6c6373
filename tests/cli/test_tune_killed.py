"""Kill -9 while trials run: the same command goes on after those that had ended, and ends as a calm one."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest
import separate
from cells import planted
from separate import WAIT

pytest.importorskip("optuna", reason="tuning needs Optuna: pip install 'smash-gpu[tune]'")

N_TRIALS = 12


def n_finished(work):
    """Trials with a value in the file, while another program writes it."""
    for file in work.glob("*/trials-of-*.sqlite"):
        try:
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
                found = connection.execute("select count(*) from trials where state = 'COMPLETE'")
                return found.fetchone()[0]
        except sqlite3.OperationalError:
            return 0
    return 0


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path):
    data, work = tmp_path / "cells.h5ad", tmp_path / "work"
    planted(np.random.default_rng(0), n_cells=600).write_h5ad(data)

    def started(out, *more):
        how = ["--groupby", "cell_type", "--model", "xgboost", "--n-trials", N_TRIALS, "--out", out, *more]
        return separate.start(["tune", data, *how], tmp_path / f"{out.name}-{time.monotonic_ns()}")

    def found(out):
        trials = json.loads((out / "tuning.json").read_text())["trials"]
        return [{name: value for name, value in trial.items() if name != "seconds"} for trial in trials]

    for wanted in (1, 4):
        run, until = started(tmp_path / "killed", "--work", work), time.monotonic() + WAIT
        while not run.is_over() and n_finished(work) < wanted:
            assert time.monotonic() < until, "nothing happened"
            time.sleep(0.01)
        run.kill()
    before = n_finished(work)
    assert before >= 4
    last, calm = started(tmp_path / "last", "--work", work), started(tmp_path / "calm")
    for run in (last, calm):
        code, _, error = run.finish()
        assert code == 0, error
    assert found(tmp_path / "last") == found(tmp_path / "calm")
    assert n_finished(work) == N_TRIALS
