"""Training from cells in a file sees what training in memory sees."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from cases.parts import N_GENES, SHORT, Witness, open_files, options_of, scored
from cells import planted
from xgboost import Booster

from smash_gpu.annotated.read import read
from smash_gpu.data import splits
from smash_gpu.data.shuffle import block_cuts, shuffled
from smash_gpu.models import boosted, xgboost_bins
from smash_gpu.runtime import atomic
from smash_gpu.runtime.spill import Scratch
from smash_gpu.selection import scoring


def test_blocks_hold_cells_as_drawn_at_random(small_blocks):
    """Runs of neighbours in one block are as long as chance makes them, and every stretch is in every block."""
    order, cuts = shuffled(24_000, N_GENES), block_cuts(24_000, N_GENES)
    block = np.empty(24_000, dtype=int)
    for number, cut in enumerate(cuts):
        block[order[cut]] = number
    assert (block[1:] == block[:-1]).mean() == pytest.approx(1 / len(cuts), abs=5 * np.sqrt(1 / len(cuts) / 24_000))
    table = np.array([np.bincount(part, minlength=len(cuts)) for part in block.reshape(12, 2000)])
    chi_square, degrees = ((table - 2000 / len(cuts)) ** 2 / (2000 / len(cuts))).sum(), 11 * (len(cuts) - 1)
    assert abs(chi_square - degrees) < 5 * np.sqrt(2 * degrees)


@pytest.mark.slow
def test_batches_of_data_sorted_by_class_are_random_samples(small_blocks, no_room, rng):
    """The shuffle quality that `Network` states: classes in batches vary as in draws without replacement."""
    torch = pytest.importorskip("torch")
    from smash_gpu.models.network import Network, Training

    seen = []

    class Recorder(torch.nn.Linear):
        def forward(self, x):
            if self.training:
                seen.append(x[:, 0].detach().numpy().copy())
            return super().forward(x)

    adata = planted(rng, n_cells=3000)
    adata = adata[np.argsort(adata.obs["cell_type"])].copy()
    data = read(adata, {"groupby": "cell_type", "normalize": True})
    flagged = replace(data, matrix=_with_the_class_as_first_gene(data), target_sum=None)
    model = Network(module=Recorder, training=Training(max_epochs=8, batch_size=60), by_expression=False)
    model.importance = lambda X, group, split: np.zeros((3, X.shape[1]))
    scored(flagged, model)
    batches = np.array([np.unique(np.concatenate(seen), return_inverse=True)[1]]).ravel()
    batches = [part for part in np.split(batches, np.cumsum([len(s) for s in seen])[:-1]) if len(part) == 60]
    assert len(batches) > 8 * 30
    share = np.bincount(np.concatenate(batches)) / (60 * len(batches))
    counts = np.array([np.bincount(part, minlength=3) for part in batches])
    chi_square = ((counts - 60 * share) ** 2 / (60 * share)).sum() / (1 - 60 / 2400)
    degrees = 2 * len(batches)
    assert abs(chi_square - degrees) < 5 * np.sqrt(2 * degrees)
    in_order = np.repeat([0, 1, 2], np.bincount(np.concatenate(batches)))  # what no shuffling would have given
    unshuffled = np.array([np.bincount(part, minlength=3) for part in in_order.reshape(-1, 60)])
    assert ((unshuffled - 60 * share) ** 2 / (60 * share)).sum() > 20 * degrees


def _with_the_class_as_first_gene(data):
    matrix = data.matrix.tolil()
    matrix[:, 0] = (data.group[:, None] + 1) / 2
    return matrix.tocsr()


# models


def test_rows_groups_and_split_are_those_of_the_same_cells_in_memory_and_in_a_file(data, small_blocks, request):
    witnesses = []
    for _ in range(2):
        witnesses.append(Witness())
        scored(data, witnesses[-1])
        request.getfixturevalue("no_room")
    in_memory, in_file = witnesses
    assert (in_memory.kind, in_file.kind) == (np.ndarray, Scratch)
    order = shuffled(2000, N_GENES)
    assert order.tolist() != list(range(2000))
    for found in witnesses:
        np.testing.assert_array_equal(found.X, data.expression(np.arange(N_GENES))[order])
        np.testing.assert_array_equal(found.group, data.labels[order])
        np.testing.assert_array_equal(found.split.train, in_memory.split.train)


@pytest.mark.slow
@pytest.mark.parametrize("model", SHORT)
def test_scores_do_not_depend_on_where_the_cells_lie(data, small_blocks, own_folder, request, model):
    """XGBoost's external memory makes the same trees from the same batches; the network the same steps."""
    in_memory = scored(data, model, options=options_of(model), n_models=2)
    request.getfixturevalue("no_room")
    in_file = scored(data, model, options=options_of(model), n_models=2)
    np.testing.assert_array_equal(in_file.mean, in_memory.mean)
    np.testing.assert_array_equal(in_file.accuracy, in_memory.accuracy)
    assert list(own_folder.iterdir()) == []


@pytest.mark.parametrize("model", SHORT)
def test_cells_in_blocks_teach_a_model_as_much_as_all_at_once(data, request, model):
    at_once = scored(data, model, options=options_of(model))
    request.getfixturevalue("small_blocks")
    in_blocks = scored(data, model, options=options_of(model))
    assert in_blocks.accuracy[0] == pytest.approx(at_once.accuracy[0], abs=0.03)
    assert at_once.accuracy[0] > 0.9
    together = [[data.names.tolist().index(f"MARKER{c}{letter}") for letter in "XYZ"] for c in range(3)]
    sums = [[found.mean[:, genes].sum(axis=1) for genes in together] for found in (in_blocks, at_once)]
    assert np.corrcoef(*map(np.ravel, sums))[0, 1] > 0.7, "which of three equal markers a tree takes is chance"
    for c in range(3):
        planted_markers = [f"MARKER{c}{letter}" for letter in "XYZ"]
        for found in (in_blocks, at_once):
            assert sorted(data.names[np.argsort(-found.mean[c])[:3]]) == planted_markers


@pytest.mark.slow
def test_bins_in_external_memory_make_the_same_trees(data, small_blocks, monkeypatch, own_folder):
    X, split = data.expression(np.arange(N_GENES)), splits.stratified(data.labels)
    dumps, kinds = [], []
    for share in (1.0, 0):
        monkeypatch.setattr(boosted, "SHARE_FOR_BINS", share)
        for kind in ("QuantileDMatrix", "ExtMemQuantileDMatrix"):
            made = getattr(xgboost_bins, kind)
            monkeypatch.setattr(
                xgboost_bins, kind, lambda *a, made=made, kind=kind, **k: kinds.append(kind) or made(*a, **k)
            )
        model = boosted.Boosted(class_weight="balanced", learning_rate=0.6).fit(X, data.labels, split)
        assert model.booster.num_boosted_rounds() < 200, "the held-out cells are in files too"
        dumps.append(model.booster.get_dump(with_stats=True))
    assert (kinds[0], kinds[-1]) == ("QuantileDMatrix", "ExtMemQuantileDMatrix")
    assert dumps[0] == dumps[1]
    assert list(own_folder.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*External memory cache file", "ignore:.*external memory cache file")
@pytest.mark.parametrize("model", SHORT)
def test_an_error_while_learning_leaves_no_file_behind(data, small_blocks, no_room, own_folder, monkeypatch, model):
    options_of(model)

    def fails(*_, **__):
        raise RuntimeError("as asked")

    monkeypatch.setattr("xgboost.Booster.update", fails)
    if model == "dnn":
        from smash_gpu.models import torch_training

        monkeypatch.setattr(torch_training, "train_epoch", fails)
    before = open_files()
    with pytest.raises(RuntimeError, match="as asked"):
        scored(data, model)
    assert list(own_folder.iterdir()) == []
    assert open_files() <= before


def test_batches_are_corrected_in_a_file_as_in_memory(rng, small_blocks, monkeypatch, request):
    monkeypatch.setattr(scoring, "harmonize", lambda z, batch, random_state: z - 0.1 * (batch == "b")[:, None])
    monkeypatch.setattr("smash_gpu.selection.harmony.CELLS_PER_PART", 170)
    adata = planted(rng, n_cells=700)
    adata.obs["batch"] = rng.choice(["a", "b"], 700)
    data = read(adata, {"groupby": "cell_type", "batch_key": "batch"})
    witnesses = []
    for _ in range(2):
        witnesses.append(Witness())
        scored(data, witnesses[-1])
        request.getfixturevalue("no_room")
    assert witnesses[1].kind is Scratch
    np.testing.assert_array_equal(witnesses[1].X, witnesses[0].X)
    plain = data.expression(np.arange(N_GENES))[shuffled(700, N_GENES)]
    changed = np.abs(witnesses[0].X - plain).max(axis=1) > 1e-4
    np.testing.assert_array_equal(changed, (data.batch == "b")[shuffled(700, N_GENES)])


@pytest.mark.filterwarnings("ignore:.*External memory cache file", "ignore:.*external memory cache file")
def test_bins_that_a_killed_program_left_are_removed_and_those_in_use_stay(
    data, small_blocks, no_room, own_folder, monkeypatch
):
    left, in_use = (own_folder / f"{boosted.BINS}{name}{atomic.PARTIAL}" for name in ("left", "in-use"))
    for folder in (left, in_use):
        folder.mkdir()
        (folder / "bins").write_bytes(b"much")
    held = atomic.lock(in_use)
    monkeypatch.setattr(atomic, "SECONDS_TO_LOCK", -1)
    at_work = []
    update = Booster.update

    def looked_at(*arguments, **how):
        atomic.remove_leftovers(own_folder, "*")  # as another program would
        at_work.append(len(list(own_folder.iterdir())))
        return update(*arguments, **how)

    monkeypatch.setattr(Booster, "update", looked_at)
    scored(data, "xgboost", options={"n_estimators": 2})
    os.close(held)
    assert at_work == [2, 2]
    assert list(own_folder.iterdir()) == [in_use]
