"""Trials learn from, and are judged on, training cells of the model that `tl.smash` makes with the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases.models import SMALL
from cells import Counted, planted
from models.nearest_mean import NEAREST_MEAN

from smash_gpu import models
from smash_gpu.annotated.read import read
from smash_gpu.data.splits import stratified
from smash_gpu.data.stages import Work
from smash_gpu.models import Choice, Range
from smash_gpu.selection import scoring
from smash_gpu.selection.options import Importance
from smash_gpu.selection.trials import Budget
from smash_gpu.selection.tuning import Tuning, inner_split, tune

FEW_ROUNDS = {"n_estimators": 5}


def tuned(data, model="xgboost", n_trials=3, options=FEW_ROUNDS, seed=0):
    pytest.importorskip("optuna", reason="tuning needs Optuna: pip install 'smash-gpu[tune]'")
    everything = np.ones(len(data.names), dtype=bool)
    return tune(data, everything, Tuning(Importance(model, options, random_state=seed), Budget(n_trials)))


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_trial_sees_the_held_out_cells_of_the_model(rng, seed):
    group = rng.choice(5, 400, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    split, judged = inner_split(group, seed)
    parts = [split.train, split.test, judged, stratified(group, random_state=seed).test]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(400))
    assert [round(len(part) / 400, 2) for part in parts] == [0.51, 0.13, 0.16, 0.2]
    assert set(group[split.train]) == set(group[judged]) == set(range(5))


def test_every_group_is_trained_on_however_small():
    group = np.repeat([0, 1, 2, 3], [50, 2, 3, 4])
    split, judged = inner_split(group, 0)
    assert set(group[split.train]) == {0, 1, 2, 3}
    assert set(group[judged]) < {0, 1, 2, 3}
    with pytest.raises(ValueError, match="at least four are needed"):
        inner_split(np.repeat([0, 1], 2), 0)


def test_the_value_is_the_macro_f1_of_a_model_with_these_options(rng):
    from sklearn.metrics import f1_score

    data = read(planted(rng), {"groupby": "cell_type"})
    found = tuned(data)["value"]
    X, group = data.host_expression(np.arange(60)), data.labels
    split, judged = inner_split(group, 0)
    model = models.build("xgboost", random_state=0, **FEW_ROUNDS).fit(X, group, split)
    assert found[0] == pytest.approx(f1_score(group[judged], model.predict(X[judged]), average="macro"))


def test_all_trials_read_the_expression_once(rng, monkeypatch):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 10)
    adata = planted(rng)
    adata.X = Counted(adata.X)
    data = read(adata, {"groupby": "cell_type"})
    tuned(data)
    assert adata.X.passes == 1


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "dnn" else name
        for name, info in models.MODELS.items()
        if info.search
    ],
)
def test_every_model_can_be_tuned_and_repeats_its_trials(rng, model):
    if model == "dnn":
        pytest.importorskip("torch")
    data = read(planted(rng), {"groupby": "cell_type"})
    first, again = (tuned(data, model, 2, SMALL[model]) for _ in range(2))
    assert first["error"].tolist() == ["", ""]
    assert first.drop(columns="seconds").equals(again.drop(columns="seconds"))


def test_trials_from_a_file_are_those_from_memory(rng, monkeypatch):
    data = read(planted(rng), {"groupby": "cell_type"})
    expected, kinds, fit = tuned(data), [], models.Boosted.fit
    monkeypatch.setattr(scoring, "SHARE_FOR_EXPRESSION", 0)
    monkeypatch.setattr(
        models.Boosted, "fit", lambda self, X, *rest: kinds.append(type(X).__name__) or fit(self, X, *rest)
    )
    found = tuned(data)
    assert kinds == ["Scratch"] * 3
    assert found["value"].tolist() == expected["value"].tolist()


def test_trials_of_a_dask_array_are_those_from_memory(rng):
    pytest.importorskip("dask.array")
    from cells import in_dask

    adata = planted(rng)
    expected = tuned(read(adata, {"groupby": "cell_type"}))
    adata.X = in_dask(adata.X, 50)
    assert tuned(read(adata, {"groupby": "cell_type"}))["value"].tolist() == expected["value"].tolist()


def test_a_model_of_ones_own_states_what_can_be_tuned(rng, monkeypatch):
    monkeypatch.setitem(models.MODELS, "mine", replace(NEAREST_MEAN, search={"squared": Choice(False, True)}))
    data = read(planted(rng, n_cells=140), {"groupby": "cell_type"})
    table = tuned(data, "mine", 5, {})
    assert table["options"].tolist() == ['{"squared": false}', '{"squared": true}']
    with pytest.raises(ValueError, match=r"model='mine' has no option left to tune.*rf, brf, xgboost"):
        Tuning(Importance("mine", {"squared": True}))
    with pytest.raises(ValueError, match=r"a model object \(here NearestMean\) cannot be tuned.*search="):
        Tuning(Importance(NEAREST_MEAN.create()))


def test_a_given_option_is_not_tuned():
    wanted = Tuning(Importance("xgboost", {"max_depth": 3}))
    assert "max_depth" not in wanted.space
    values = {name: one.default for name, one in wanted.space.items()}
    assert wanted.options(values | {"subsample": 0.5}) == {"max_depth": 3, "subsample": 0.5}


@pytest.mark.parametrize("model", models.MODELS)
def test_what_a_model_states_is_its_own_default_and_within_its_range(model):
    if model == "dnn":
        pytest.importorskip("torch")
    made = models.build(model, random_state=0)
    for name, one in models.MODELS[model].search.items():
        values = vars(made) | getattr(made, "params", {}) | _settings(made)
        if hasattr(made, "estimator"):
            values |= made.estimator.get_params()
            values |= {
                "min_drawn": values.get("sampling_strategy") and values["sampling_strategy"].keywords["min_drawn"]
            }
        if name in values:
            assert values[name] == one.default, name
        else:
            assert model == "xgboost" and one.default == 1, name  # XGBoost's own defaults
        if isinstance(one, Range):
            assert one.low <= one.default <= one.high


def _settings(model):
    """Of the network: those of its layers and its training."""
    parts = [getattr(model, part) for part in ("shape", "training") if hasattr(model, part)]
    return {name: value for part in parts for name, value in vars(part).items()}


@pytest.mark.slow
def test_a_dataset_that_is_kept_gets_a_file_of_its_own_for_other_options(rng, tmp_path):
    data = read(planted(rng), {"groupby": "cell_type"}, Work.of(tmp_path))
    tuned(data), tuned(data, seed=1), tuned(data, options={"n_estimators": 6}), tuned(data)
    assert len(list(tmp_path.glob("*/trials-of-xgboost-*.sqlite"))) == 3
    with pytest.warns(UserWarning, match="holds stages of"):
        other = read(planted(np.random.default_rng(2)), {"groupby": "cell_type"}, Work.of(tmp_path))
    tuned(other)
    assert len(list(tmp_path.glob("*/trials-of-xgboost-*.sqlite"))) == 4
