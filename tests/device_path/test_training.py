"""Training on a stand-in device, with libraries that take only arrays of the device."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import strict_cupy
from cases.device import on
from cases.forest import StandInForest
from cases.models import Means, explained_by
from cases.unequal import assert_as_accurate, planted_markers, unequal_classes
from cells import planted
from strict_cupy import DeviceArray, DeviceCsr

import smash_gpu as smg
from smash_gpu import models
from smash_gpu.data.splits import stratified
from smash_gpu.models import forest
from smash_gpu.selection import harmony, scoring, steps
from smash_gpu.selection.options import Importance


def stand_in_for_xgboost(monkeypatch):
    """Arrays of the device cross into XGBoost's CPU build, which takes them from the host; no others may."""
    from xgboost import Booster

    from smash_gpu.models import xgboost_bins
    from smash_gpu.models.attribution import treeshap

    def host(X):
        assert isinstance(X, DeviceArray)
        return X.get()

    following, predicted, explained = xgboost_bins.Batches.next, Booster.inplace_predict, treeshap.contributions
    monkeypatch.setattr("xgboost.build_info", lambda: {"USE_CUDA": True})
    monkeypatch.setattr(xgboost_bins.Batches, "next", lambda self, input_data: following(
        self, lambda data, **rest: input_data(data=host(data), **rest)))  # fmt: skip
    monkeypatch.setattr(Booster, "inplace_predict", lambda self, X: DeviceArray(predicted(self, host(X))))
    monkeypatch.setattr(treeshap, "contributions", lambda booster, X, n: explained(booster, host(X), n))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*No visible GPU")
@pytest.mark.filterwarnings("ignore:.*Device is changed")
@pytest.mark.parametrize("model", ["rf", "brf"])
def test_forests_on_a_device_find_the_planted_markers(device, monkeypatch, rng, model):
    monkeypatch.setattr(forest, "_cuml_forest", lambda n_estimators, **o: StandInForest(**o))
    adata = planted(rng)
    smg.tl.smash(adata, "cell_type", model=model, n_top=3, device="cuda", filters={"families": ()})
    for c, (_, found) in enumerate(smg.get.markers_dict(adata).items()):
        assert sorted(found) == [f"MARKER{c}{letter}" for letter in "XYZ"]


def test_trees_on_a_device_have_a_largest_depth_unless_it_is_given(monkeypatch):
    monkeypatch.setattr(forest, "_cuml_forest", lambda n_estimators, **options: options["max_depth"])
    build = partial(models.build, "rf", random_state=0, device="cuda")
    for options, depth in (({}, 24), (models.MODELS["rf"].paper, None), ({"max_depth": 7}, 7)):
        assert build(**options).estimator == depth


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*No visible GPU")
@pytest.mark.filterwarnings("ignore:.*Device is changed")
@pytest.mark.parametrize("kind", ["gain", "shap"])
def test_xgboost_given_arrays_of_a_device_is_xgboost(monkeypatch, rng, kind):
    adata, found = planted(rng), {}
    how = {"filters": {"families": ()}, "model_options": {"n_estimators": 10, "importance": kind}}
    for where in ("cpu", "cuda"):
        if where == "cuda":
            strict_cupy.install(monkeypatch)
            stand_in_for_xgboost(monkeypatch)
        smg.tl.smash(adata, "cell_type", model="xgboost", n_top=3, device=where, **how)
        found[where] = smg.get.markers_dict(adata)
    assert found["cpu"] == found["cuda"]


@pytest.mark.filterwarnings("ignore:.*No visible GPU", "ignore:.*Device is changed", "ignore:model Means")
def test_a_consensus_on_a_device_is_that_of_the_host(monkeypatch, rng):
    adata, found = planted(rng), []
    for where in ("cpu", "cuda"):
        if where == "cuda":
            strict_cupy.install(monkeypatch)
            stand_in_for_xgboost(monkeypatch)
        how = {"model": ["xgboost", Means()], "model_options": {"xgboost": {"n_estimators": 10}}, "n_top": 3}
        smg.tl.smash(adata, "cell_type", filters={"families": ()}, device=where, **how)
        table = smg.get.markers(adata)
        found.append(table[["group", "name", "agreement"]])
    pd.testing.assert_frame_equal(*found)
    assert found[0]["agreement"].min() == 1


@pytest.mark.filterwarnings("ignore:.*No visible GPU")
@pytest.mark.filterwarnings("ignore:.*Device is changed")
def test_trials_on_a_device_are_those_of_the_host(monkeypatch, rng):
    pytest.importorskip("optuna", reason="tuning needs Optuna: pip install 'smash-gpu[tune]'")
    adata, found = planted(rng), {}
    for where in ("cpu", "cuda"):
        if where == "cuda":
            strict_cupy.install(monkeypatch)
            stand_in_for_xgboost(monkeypatch)
        how = {"n_trials": 3, "model_options": {"n_estimators": 4}, "device": where}
        smg.tl.tune(adata, "cell_type", model="xgboost", **how)
        found[where] = smg.get.tuning(adata).drop(columns="seconds")
    pd.testing.assert_frame_equal(found["cuda"], found["cpu"])


@pytest.mark.filterwarnings("ignore:.*No visible GPU")
@pytest.mark.filterwarnings("ignore:.*Device is changed")
def test_bins_that_the_device_has_no_room_for_lie_in_host_memory(device, monkeypatch, rng):
    """The same trees; and where the host has no room either, an error says so before XGBoost begins."""
    from smash_gpu.models import boosted, xgboost_bins

    stand_in_for_xgboost(monkeypatch)
    monkeypatch.setattr("smash_gpu.data.shuffle.BYTES_PER_BLOCK", 4 * 8 * 50)
    made, create = [], xgboost_bins.ExtMemQuantileDMatrix
    monkeypatch.setattr(xgboost_bins, "ExtMemQuantileDMatrix", lambda it, **o: made.append(it) or create(it, **o))
    group = np.tile([0, 1, 2], 60)
    X = DeviceArray(rng.gamma(1.0 + 3 * (np.arange(8) == group[:, None]), 1.0).astype(np.float32))
    gains, split = [], stratified(group)
    for share in (0.5, 0.0):
        monkeypatch.setattr(boosted, "SHARE_FOR_BINS", share)
        gains.append(boosted.Boosted(device="cuda", n_estimators=4).fit(X, group, split).gain(8, "total_gain"))
        assert bool(made) == (share == 0)
    assert all(it.on_host and len(it.blocks) >= 1 for it in made)
    np.testing.assert_allclose(gains[1], gains[0], rtol=1e-6)
    monkeypatch.setattr(boosted.memory, "room", lambda: 0)
    with pytest.raises(MemoryError, match="180 cells × 8 genes.*max_cells="):
        boosted.Boosted(device="cuda").fit(X, group, split)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*No visible GPU")
@pytest.mark.filterwarnings("ignore:.*Device is changed")
@pytest.mark.parametrize("share", [0.25, 0], ids=["on the host", "in a file"])
def test_cells_that_the_device_has_no_room_for_go_there_block_by_block(monkeypatch, rng, share):
    monkeypatch.setattr("smash_gpu.data.shuffle.BYTES_PER_BLOCK", 10_000)
    adata, found = planted(rng), {}
    how = {"filters": {"families": ()}, "model_options": {"n_estimators": 10}}
    for where in ("cpu", "cuda"):
        if where == "cuda":
            strict_cupy.install(monkeypatch)
            stand_in_for_xgboost(monkeypatch)
            monkeypatch.setattr(scoring, "device_room", lambda: 0)
            monkeypatch.setattr(scoring, "SHARE_FOR_EXPRESSION", share)
        smg.tl.smash(adata, "cell_type", model="xgboost", n_top=3, device=where, **how)
        found[where] = smg.get.markers_dict(adata)
    assert found["cpu"] == found["cuda"]


@pytest.mark.slow
def test_cells_moved_to_a_device_by_rapids_singlecell_go_straight_in(device, monkeypatch, rng):
    monkeypatch.setattr(forest, "_cuml_forest", lambda n_estimators, **o: StandInForest(**o))
    host = planted(rng)
    moved = ad.AnnData(obs=host.obs, var=host.var)
    plain = ad.AnnData.X
    monkeypatch.setattr(
        ad.AnnData, "X", property(lambda a: DeviceCsr(plain.fget(host)) if a is moved else plain.fget(a))
    )
    for adata in (host, moved):
        smg.tl.smash(adata, "cell_type", filters={"families": ()}, device="cuda")
    assert smg.get.markers_dict(moved) == smg.get.markers_dict(host)


def test_the_network_takes_arrays_of_the_device(device, data, monkeypatch):
    """It explains the same cells, and its scores are the same."""
    pytest.importorskip("torch")
    from smash_gpu.models.network import Network, Training

    genes = np.arange(20)
    split = stratified(data.labels)
    scores, explained = [], []
    for X in (data.expression(genes), on(data, "cuda").expression(genes)):
        model = Network(training=Training(max_epochs=4), max_explained=20).fit(X, data.labels, split)
        explained.append(explained_by(model, (X, data.labels, split), monkeypatch))
        scores.append(model.importance(X, data.labels, split))
        assert isinstance(model.predict(X), np.ndarray)
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-3, atol=1e-6)
    assert explained[1] == explained[0]
    assert set(explained[0]) <= set(split.train)


def test_a_torch_without_cuda_is_an_error_with_the_way_out(monkeypatch):
    torch = pytest.importorskip("torch")
    from smash_gpu.models.network import Network

    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(RuntimeError, match="build of torch.*device='cpu'"):
        Network(device="cuda")


def test_batches_are_corrected_on_a_device(device, monkeypatch, data, rng):
    """Harmony itself is replaced; the components, axes and the shift are those of the host."""
    monkeypatch.setattr(harmony, "CELLS_PER_PART", 37)
    monkeypatch.setattr(harmony, "_harmonize_on_device", lambda components, *_: components * 0.5)
    monkeypatch.setattr(scoring, "harmonize", lambda c, b, random_state: (
        harmony.harmonize(c, b) if isinstance(c, DeviceArray) else c * 0.5))  # fmt: skip
    genes = np.arange(25)
    shifted = []
    for part in (data, on(data, "cuda")):
        part = replace(part, batch=pd.Categorical(rng.choice(["a", "b"], len(data.group))))
        X = part.expression(genes)
        shift = scoring.batch_shift(part, genes, X, np.arange(len(X)), random_state=0)
        shifted.append(shift.added_to(X, np.arange(len(X))))
    np.testing.assert_allclose(shifted[1].get(), shifted[0], atol=1e-4)


def test_an_own_model_gets_arrays_of_the_host(device, data):
    class Own:
        def fit(self, X, group, split):
            assert isinstance(X, np.ndarray)
            self.mean = np.array([X[group == g].mean(axis=0) for g in range(3)])
            return self

        def importance(self, X, group, split):
            return self.mean - self.mean.mean(axis=0)

        def predict(self, X):
            return np.zeros(len(X), dtype=int)

    scores = steps.importance(on(data, "cuda"), np.ones(len(data.names), bool), Importance(Own()))
    assert scores.mean.shape == (3, len(data.names))


SIZES = (300, 80, 0, 20)  # the third of four groups has no cells


@pytest.mark.parametrize(
    ("min_drawn", "expected"),
    [(None, (1, 1, 0, 1)), (0, (20, 20, 0, 20)), (50, (50, 50, 0, 20)), (1000, (300, 80, 0, 20))],
)
def test_the_draw_makes_up_for_the_sizes_of_the_groups(rng, min_drawn, expected):
    """All cells by class weights, or the cells that a tree of the balanced forest sees."""
    group = rng.permutation(np.repeat(np.arange(4), SIZES))
    weight, share = forest.draw_weights(group, min_drawn=min_drawn)
    drawn = np.bincount(group, weights=weight[group])
    np.testing.assert_allclose(drawn / drawn.sum(), np.array(expected) / sum(expected))
    assert share == (1 if min_drawn is None else sum(expected) / 400)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["rf", "brf"])
def test_classes_of_unequal_size_are_learnt_on_a_device_as_on_the_host(device, monkeypatch, model):
    X, group, split = unequal_classes()
    monkeypatch.setattr(forest, "_cuml_forest", lambda n_estimators, **o: StandInForest(**o))
    on_host, on_device = (
        models.build(model, random_state=0, device=where, n_estimators=60).fit(values, group, split)
        for where, values in (("cpu", X), ("cuda", DeviceArray(X)))
    )
    found, expected = on_device.predict(DeviceArray(X[split.test])), on_host.predict(X[split.test])
    assert_as_accurate(found, expected, group[split.test])
    for values, fitted in ((X, on_host), (DeviceArray(X), on_device)):
        assert planted_markers(fitted.importance(values, group, split)) >= 0.9


def test_class_weights_on_a_balanced_draw_need_the_host(monkeypatch):
    """Drawn by weight, the rarest classes would fill the trees."""
    monkeypatch.setattr(forest, "_cuml_forest", lambda n_estimators, **o: StandInForest(**o))
    with pytest.raises(ValueError, match="class_weight='balanced'.*needs device='cpu'"):
        models.build("brf", random_state=0, device="cuda", **models.MODELS["brf"].paper)


@pytest.mark.parametrize("create", [forest.random_forest, forest.balanced_random_forest])
def test_the_share_of_cells_that_a_tree_draws_is_no_option_on_a_device(create):
    with pytest.raises(ValueError, match="max_samples follows from the classes on a GPU"):
        create(device="cuda", max_samples=0.5)
