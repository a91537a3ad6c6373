"""A run on a cluster goes on when a worker is killed, with the same result."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest
from cases.cluster import STARTS_PER_RUN, assert_same_selection, in_h5ad, smash, timed_cluster

from smash_gpu.models.on_cluster import bins
from smash_gpu.runtime import cluster
from smash_gpu.runtime.cluster import despite_losses

pytest.importorskip("distributed")


@pytest.fixture
def own_cluster():
    """Not shared: Dask may need long to start a killed worker again."""
    with timed_cluster() as started:
        yield started


def killed_at(X, visit, folder):
    """``X``; the worker that reads the first block, that many times after the first, is killed while it does."""

    def read(block, block_info):
        if block_info[0]["chunk-location"][0] == 0:
            seen = len(list(folder.iterdir()))
            (folder / f"visit {seen}").touch()
            if seen == visit:
                os.kill(os.getpid(), signal.SIGKILL)
        return block

    return X.map_blocks(read, dtype=X.dtype, meta=X._meta)


def within(seconds, function, *arguments):
    """What the function returns; a run that hangs fails."""
    ended = []
    thread = threading.Thread(target=lambda: ended.append(function(*arguments)), daemon=True)
    thread.start()
    thread.join(seconds)
    assert ended, "it failed or hangs"
    return ended[0]


@pytest.mark.slow
@pytest.mark.parametrize("visit", [0, 1, 2], ids=["statistics", "moments", "candidates"])
def test_a_worker_killed_during_a_pass_changes_nothing(own_cluster, cells, stored, alone, tmp_path, visit):
    client, seconds = own_cluster
    before = set(client.run(os.getpid).values())
    X = killed_at(in_h5ad(cells, stored), visit, tmp_path)
    found = within(seconds, smash, cells, X, "rf")
    assert len(list(tmp_path.iterdir())) > visit + 1, "the block was not read again"
    assert before - set(client.run(os.getpid).values())
    assert_same_selection(found, alone("rf"), exact=True)


def kill_once(folder, spared):
    """Kill this process, unless it is the test's own or another was killed before."""
    with suppress(FileExistsError):
        if os.getpid() != spared:
            (folder / "killed").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)


def killer(folder, when):
    """A callback of XGBoost that kills one worker: when its task arrives, or when some rounds are done."""
    from xgboost.callback import TrainingCallback

    here = os.getpid()

    class Kill(TrainingCallback):
        def __reduce__(self):
            return arrived, ()

        def after_iteration(self, model, epoch, evals_log):
            if epoch == 3:
                kill_once(folder, here)

    def arrived():
        if when == "before they meet":
            kill_once(folder, here)
        return Kill()

    return Kill()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before they meet", "in round 3"])
def test_a_worker_killed_while_xgboost_trains_changes_nothing(
    own_cluster, cells, stored, alone, tmp_path, monkeypatch, when
):
    from xgboost import dask

    client, seconds = own_cluster
    train, kill = dask.train, killer(tmp_path, when)
    monkeypatch.setattr(dask, "train", lambda *a, callbacks=(), **how: train(*a, callbacks=[*callbacks, kill], **how))
    monkeypatch.setattr(bins, "SECONDS_TO_MEET", round(5 * seconds / STARTS_PER_RUN))
    before = client.nthreads()
    with pytest.warns(UserWarning, match="lost 1 of 2 workers while XGBoost was training; retrying"):
        found = within(seconds, smash, cells, in_h5ad(cells, stored), "xgboost")
    assert_same_selection(found, alone("xgboost"), exact=False)
    assert len(set(before) & set(client.nthreads())) == 1, "another worker was ended too"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:lost .* workers:UserWarning")
def test_a_worker_killed_while_trees_grow_changes_nothing(own_cluster, cells, stored, alone, tmp_path):
    from sklearn.tree import DecisionTreeClassifier

    here = os.getpid()

    class Tree(DecisionTreeClassifier):
        def _fit(self, *data, **options):
            kill_once(tmp_path, here)
            return super()._fit(*data, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sklearn.tree.DecisionTreeClassifier", Tree)
        found = within(own_cluster[1], smash, cells, in_h5ad(cells, stored), "rf")
    assert (tmp_path / "killed").exists()
    assert_same_selection(found, alone("rf"), exact=True)


class Cluster:
    """Workers that are lost one by one, each time that ``attempt`` is called."""

    def __init__(self, n_workers, n_lost, *, answers=True):
        self.answers = answers
        self.workers, self.n_lost, self.n_attempts = list(range(n_workers)), n_lost, 0

    def nthreads(self):
        return dict.fromkeys(self.workers, 1)

    def submit(self, *_, **__):
        return SimpleNamespace(status="finished" if self.answers else "pending")

    def attempt(self):
        self.n_attempts += 1
        if self.n_lost:
            self.n_lost -= 1
            self.workers.pop(0)
            raise ConnectionError("gone")
        return "done"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:lost .* workers:UserWarning")
def test_an_attempt_is_repeated_a_bounded_number_of_times(monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS_TO_NOTICE", 0.2)
    monkeypatch.setattr(cluster, "SECONDS_TO_RETURN", 0.2)
    losing = Cluster(9, 2)
    assert despite_losses(losing.attempt, losing, "testing") == "done"
    assert losing.n_attempts == 3
    hopeless = Cluster(9, 8)
    with pytest.raises(RuntimeError, match="4 times while testing, 1 of 6 the last time.*memory"):
        despite_losses(hopeless.attempt, hopeless, "testing")
    monkeypatch.setattr(cluster, "SECONDS_TO_ANSWER", 0.2)
    blocked = Cluster(2, 1, answers=False)
    with pytest.raises(RuntimeError, match=r"workers \[1\] did not answer.*restart_workers"):
        despite_losses(blocked.attempt, blocked, "testing")
    healthy = Cluster(2, 0)
    with pytest.raises(ZeroDivisionError):
        despite_losses(lambda: 1 // 0, healthy, "testing")
