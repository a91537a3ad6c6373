"""A selection on a cluster is that of one machine, and goes on when a worker is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import suppress
from functools import partial

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.cluster import PLACES, codes, in_h5ad, uneven

import smash_gpu as smg
from smash_gpu.data import shuffle, splits
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.shuffle import shuffled
from smash_gpu.models.on_cluster import boosted, forests, xgboost_workers
from smash_gpu.runtime import cluster as runtime_cluster
from smash_gpu.runtime.cluster import despite_losses

pytest.importorskip("distributed")


SECONDS = 120  # within which a run on two workers must end, whatever happens to one of them
FEW_TREES = {"n_estimators": 8}


def smash(cells, X, model, **options):
    adata = ad.AnnData(X, obs=cells.obs.copy(), var=cells.var.copy())
    how = {"filters": {"families": ()}, "n_top": 3, "sample_key": "sample", "random_state": 1}
    smg.tl.smash(adata, "cell_type", model=model, model_options=FEW_TREES, **how, **options)
    return adata


@pytest.fixture(scope="module")
def alone(cells):
    """The selections of this machine, made once each."""
    made = {}

    def of(model):
        if model not in made:
            made[model] = smash(cells, cells.X, model)
        return made[model]

    return of


def assert_same_selection(found, expected, exact):
    compare = np.testing.assert_array_equal if exact else partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6)
    compare(found.varm["smash"], expected.varm["smash"])
    np.testing.assert_array_equal(found.uns["smash"]["accuracy"], expected.uns["smash"]["accuracy"])
    np.testing.assert_array_equal(found.var["smash_candidate"], expected.var["smash_candidate"])
    tables = smg.get.markers(found), smg.get.markers(expected)
    pd.testing.assert_frame_equal(*tables, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["h5ad", "zarr", "uneven"])
@pytest.mark.parametrize("model", ["rf", "xgboost"])
def test_a_selection_is_that_of_one_machine(client, cells, stored, alone, model, where):
    found = smash(cells, PLACES[where](cells, stored), model)
    assert_same_selection(found, alone(model), exact=model == "rf")


def trees(booster):
    return json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}, {"importance": "shap"}], ids=str)
def test_boosted_trees_are_those_of_one_machine(client, cells, monkeypatch, options, n_blocks):
    """Bit for bit without weights; with weights XGBoost sums them in single precision, worker by worker."""
    from smash_gpu.models.boosted import Boosted

    group, genes = codes(cells), np.arange(3, 60)
    monkeypatch.setattr(shuffle, "BYTES_PER_BLOCK", -(-4 * (group >= 0).sum() * len(genes) // n_blocks))
    names = cells.var_names.to_numpy()
    here = Dataset(cells.X, group, np.array(list("abc")), names, names)
    there = Dataset(uneven(cells, None), group, here.groups, names, names)
    order = shuffled(len(here.cells), len(genes))
    split, y = splits.stratified(here.labels[order]), here.labels[order]
    model, far = (Boosted(n_estimators=5, **options) for _ in range(2))
    X = here.expression(genes, order=order)
    scores = model.fit(X, y, split).importance(X, y, split)

    assert boosted.can_stay(there, far)
    found, accuracy = boosted.boost(there, genes, order, model=far, split=split)

    for mine, its in zip(trees(model.booster), trees(far.booster), strict=True):
        if options != {"class_weight": "balanced"}:
            assert mine == its
        for what in ("split_indices", "left_children"):
            assert mine[what] == its[what]
        np.testing.assert_allclose(mine["split_conditions"], its["split_conditions"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, scores, rtol=1e-3, atol=1e-6)
    assert accuracy == np.mean(model.predict(X[split.test]) == y[split.test])


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
def test_a_worker_killed_during_a_pass_changes_nothing(client, cells, stored, alone, tmp_path, visit):
    before = set(client.run(os.getpid).values())
    X = killed_at(in_h5ad(cells, stored), visit, tmp_path)
    found = within(SECONDS, smash, cells, X, "rf")
    assert len(list(tmp_path.iterdir())) > visit + 1, "the block was not read again"
    assert set(client.run(os.getpid).values()) != before
    assert_same_selection(found, alone("rf"), exact=True)
    client.wait_for_workers(2, timeout=SECONDS)


def killed_once(learn, folder, when):
    """``learn`` on the workers; one of them is killed before it meets the others, or when some rounds are done."""

    def kill():
        with suppress(FileExistsError):
            (folder / "killed").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)

    def learn_or_die(*arguments):
        import xgboost

        class Kill(xgboost.callback.TrainingCallback):
            def after_iteration(self, model, epoch, evals_log):
                if epoch == 3:
                    kill()

        if when == "before they meet":
            kill()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(xgboost, "train", partial(xgboost.train, callbacks=[Kill()]))
            return learn(*arguments)

    return learn_or_die


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before they meet", "in round 3"])
def test_a_worker_killed_while_xgboost_trains_changes_nothing(
    client, cells, stored, alone, tmp_path, monkeypatch, when
):
    monkeypatch.setattr(xgboost_workers, "_learn", killed_once(xgboost_workers._learn, tmp_path, when))
    monkeypatch.setattr(xgboost_workers, "SECONDS_TO_STOP", 1.0)
    with pytest.warns(UserWarning, match="of 2 workers were lost while XGBoost was training: once more"):
        found = within(SECONDS, smash, cells, in_h5ad(cells, stored), "xgboost")
    assert_same_selection(found, alone("xgboost"), exact=False)
    client.wait_for_workers(2, timeout=SECONDS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*workers were lost:UserWarning")
def test_a_worker_killed_while_trees_grow_changes_nothing(client, cells, tmp_path):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    class Tree(DecisionTreeClassifier):
        def _fit(self, *data, **options):
            with suppress(FileExistsError):
                (tmp_path / "killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._fit(*data, **options)

    def fitted(tree):
        forest = RandomForestClassifier(10, n_jobs=-1, random_state=3)
        forest.estimator = tree
        forests.fit(forest, cells.X.toarray(), codes(cells))
        return forest.feature_importances_

    def on_workers():
        with forests.grown_where(uneven(cells, None)):
            return fitted(Tree())

    found = within(SECONDS, on_workers)
    assert (tmp_path / "killed").exists()
    np.testing.assert_array_equal(found, fitted(DecisionTreeClassifier()))
    client.wait_for_workers(2, timeout=SECONDS)


class Cluster:
    """Workers that are lost one by one, each time that ``attempt`` is called."""

    def __init__(self, n_workers, n_lost):
        self.workers, self.n_lost, self.n_attempts = list(range(n_workers)), n_lost, 0

    def nthreads(self):
        return dict.fromkeys(self.workers, 1)

    def attempt(self):
        self.n_attempts += 1
        if self.n_lost:
            self.n_lost -= 1
            self.workers.pop(0)
            raise ConnectionError("gone")
        return "done"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*workers were lost:UserWarning")
def test_an_attempt_is_made_anew_a_bounded_number_of_times(monkeypatch):
    monkeypatch.setattr(runtime_cluster, "SECONDS_TO_NOTICE", 0.2)
    monkeypatch.setattr(runtime_cluster, "SECONDS_TO_RETURN", 0.2)
    losing = Cluster(9, 2)
    assert despite_losses(losing.attempt, losing, "testing") == "done"
    assert losing.n_attempts == 3
    hopeless = Cluster(9, 8)
    with pytest.raises(RuntimeError, match="lost 4 times while testing, the last 1 of 6.*memory"):
        despite_losses(hopeless.attempt, hopeless, "testing")
    healthy = Cluster(2, 0)
    with pytest.raises(ZeroDivisionError):
        despite_losses(lambda: 1 // 0, healthy, "testing")


@pytest.mark.slow
def test_xgboost_trains_on_this_machine_where_workers_would_find_other_trees(client, cells):
    from smash_gpu.models.boosted import Boosted

    names, group = cells.var_names.to_numpy(), codes(cells)
    data = Dataset(uneven(cells, None), group, np.array(list("abc")), names, names)
    assert not boosted.can_stay(data, Boosted(subsample=0.5)), "each worker would draw for itself"
    assert not boosted.can_stay(data, Boosted(booster="dart"))
    assert boosted.can_stay(data, Boosted())
