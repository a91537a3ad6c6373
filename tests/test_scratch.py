"""Cells in blocks of random order, in memory or in a file: what the models see, and what is left behind."""

import errno
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cells import planted
from hypothesis import given, settings
from hypothesis import strategies as st

from smash_gpu.annotated.read import read
from smash_gpu.data import shuffle, splits
from smash_gpu.data.shuffle import BYTES_PER_BLOCK, block_cuts, by_block, shuffled
from smash_gpu.models import boosted
from smash_gpu.runtime import atomic, memory, spill
from smash_gpu.runtime.spill import Scratch
from smash_gpu.selection import scoring
from smash_gpu.selection.options import Importance

FEW = settings(max_examples=40, deadline=None)
N_GENES = 60
SHORT = {"xgboost": {"n_estimators": 6}, "dnn": {"max_explained": 60}}


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """The folder for temporary files, empty before."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@pytest.fixture
def no_room(monkeypatch):
    """Everything that may lie in a file does."""
    monkeypatch.setattr(scoring, "SHARE_FOR_EXPRESSION", 0)
    monkeypatch.setattr(boosted, "SHARE_FOR_BINS", 0)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(shuffle, "BYTES_PER_BLOCK", 300 * 4 * N_GENES)


@pytest.fixture
def data(rng):
    adata = planted(rng, n_cells=2000)
    return read(adata[np.argsort(adata.obs["cell_type"])].copy(), {"groupby": "cell_type"})


class Witness:
    """A model that reads in parts, and remembers what it was given."""

    in_parts = True

    def fit(self, X, group, split):
        self.kind, self.X, self.group, self.split = type(X), X[np.arange(len(X))], group, split
        return self

    def importance(self, X, group, split):
        return np.array([X[np.flatnonzero(group == c)].mean(axis=0) for c in range(group.max() + 1)])

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def options_of(model):
    if model == "dnn":
        pytest.importorskip("torch")
        from smash_gpu.models.network import Training

        return SHORT[model] | {"training": Training(max_epochs=6, batch_size=40, learning_rate=1e-2)}
    return SHORT[model]


def scored(data, model, **how):
    return scoring.importance(data, np.ones(len(data.names), dtype=bool), Importance(model, **how))


def open_files():
    """How many files the program has open, where the system says so."""
    listed = Path("/proc/self/fd")
    return len(list(listed.iterdir())) if listed.exists() else 0


# a matrix in a file


@FEW
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_a_matrix_in_a_file_is_read_and_written_as_one_in_memory(n_cells, n_genes, seed, bytes_at_once):
    rng = np.random.default_rng(seed)
    expected = np.zeros((n_cells, n_genes), dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setattr(spill, "BYTES_AT_ONCE", bytes_at_once)
        with Scratch((n_cells, n_genes)) as found:
            for rows in (rng.permutation(n_cells)[: n_cells // 2 + 1], slice(n_cells // 3, n_cells // 2), slice(None)):
                values = rng.normal(size=expected[rows].shape).astype(np.float32)
                expected[rows] = values
                found[rows] = values
            assert (found.shape, len(found), found.nbytes) == (expected.shape, n_cells, expected.nbytes)
            rows = rng.integers(0, n_cells, 30)
            np.testing.assert_array_equal(found[rows], expected[rows])
            np.testing.assert_array_equal(found[n_cells // 4 : n_cells + 7], expected[n_cells // 4 :])
            found[2:5] += 1
            np.testing.assert_array_equal(found[2:5], expected[2:5] + 1)


def test_a_matrix_in_a_file_has_no_name_and_is_gone_when_it_is_closed(own_folder):
    open_before = open_files()
    with Scratch((1000, 100)) as X:
        X[:10] = 1
        assert list(own_folder.iterdir()) == []
    assert open_files() == open_before


def test_too_little_disk_is_said_before_anything_is_written(own_folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 3 * 10**8))
    with pytest.raises(
        OSError, match=r"1,000,000 cells × 100 genes takes 0.40 GB.*0.30 GB free.*max_cells=.*TMPDIR"
    ) as e:
        Scratch((10**6, 100))
    assert str(own_folder) in str(e.value)


def test_a_disk_that_fills_up_in_between_is_said(own_folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"disk of .* is full: 0.40 GB are needed.*max_cells="):
        Scratch((10**6, 100))


def test_a_file_system_that_cannot_reserve_is_used_all_the_same(own_folder, monkeypatch):
    def unknown(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unknown)
    with Scratch((10, 3)) as X:
        X[4:6] = 7
        assert X[:].sum() == 42


def test_large_files_go_where_the_user_says_else_to_the_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert spill.folder() == tmp_path
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(spill, "LARGE_FILES", tmp_path / "not there")
    monkeypatch.setattr("tempfile.tempdir", None)
    assert spill.folder().is_dir()


# blocks of random cells


@FEW
@given(st.integers(1, 500), st.integers(1, 20), st.integers(4, 4000), st.integers(0, 99))
def test_blocks_are_even_and_small_and_the_order_holds_every_cell_once(n_cells, n_genes, size, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shuffle, "BYTES_PER_BLOCK", max(size, 4 * n_genes))
        cuts = block_cuts(n_cells, n_genes)
        order = shuffled(n_cells, n_genes)
        some = np.flatnonzero(np.random.default_rng(seed).random(n_cells) < 0.5)
        blocks = by_block(some, (n_cells, n_genes))
    sizes = [cut.stop - cut.start for cut in cuts]
    assert sum(sizes) == n_cells
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) * 4 * n_genes <= max(size, 4 * n_genes)
    assert sorted(order.tolist()) == list(range(n_cells))
    assert all((np.diff(order[cut]) > 0).all() for cut in cuts)
    assert np.concatenate([np.empty(0, int), *blocks]).tolist() == some.tolist()
    assert {len({int(np.searchsorted([c.stop for c in cuts], i, side="right")) for i in b}) for b in blocks} <= {1}


def test_cells_of_one_block_keep_the_order_of_the_data_and_shared_data_are_one_block():
    assert shuffled(500, 100).tolist() == list(range(500))
    assert len(block_cuts(65_536, 1024)) == 1
    assert len(block_cuts(65_537, 1024)) == 2
    assert BYTES_PER_BLOCK == 256 * 2**20


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
    assert np.corrcoef(in_blocks.mean.ravel(), at_once.mean.ravel())[0, 1] > 0.7
    for c in range(3):
        planted_markers = [f"MARKER{c}{letter}" for letter in "XYZ"]
        for found in (in_blocks, at_once):
            assert sorted(data.names[np.argsort(-found.mean[c])[:3]]) == planted_markers


def test_bins_in_external_memory_make_the_same_trees(data, small_blocks, monkeypatch, own_folder):
    X, split = data.expression(np.arange(N_GENES)), splits.stratified(data.labels)
    dumps, kinds = [], []
    for share in (1.0, 0):
        monkeypatch.setattr(boosted, "SHARE_FOR_BINS", share)
        for kind in ("QuantileDMatrix", "ExtMemQuantileDMatrix"):
            made = getattr(boosted, kind)
            monkeypatch.setattr(
                boosted, kind, lambda *a, made=made, kind=kind, **k: kinds.append(kind) or made(*a, **k)
            )
        model = boosted.Boosted(n_estimators=8, class_weight="balanced").fit(X, data.labels, split)
        dumps.append(model.booster.get_dump(with_stats=True))
    assert (kinds[0], kinds[-1]) == ("QuantileDMatrix", "ExtMemQuantileDMatrix")
    assert dumps[0] == dumps[1]
    assert list(own_folder.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*External memory cache file", "ignore:.*external memory cache file")
@pytest.mark.parametrize("model", SHORT)
def test_an_error_while_learning_leaves_no_file_behind(data, small_blocks, no_room, own_folder, monkeypatch, model):
    options_of(model)
    from smash_gpu.models import boosted

    def fails(*_, **__):
        raise RuntimeError("as asked")

    monkeypatch.setattr(boosted.Booster, "update", fails)
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
    update = boosted.Booster.update

    def looked_at(*arguments):
        atomic.remove_leftovers(own_folder, "*")  # as another program would
        at_work.append(len(list(own_folder.iterdir())))
        return update(*arguments)

    monkeypatch.setattr(boosted.Booster, "update", looked_at)
    scored(data, "xgboost", options={"n_estimators": 2})
    os.close(held)
    assert at_work == [2, 2]
    assert list(own_folder.iterdir()) == [in_use]


def test_a_forest_whose_cells_do_not_fit_says_what_it_needs_and_the_way_out(data, monkeypatch):
    monkeypatch.setattr(memory, "room", lambda: 100_000)
    message = r"2,000 cells × 60 genes.*GB.*may be taken.*max_cells=.*xgboost.*memory= to allow more"
    with memory.limit("900TB"), pytest.raises(MemoryError, match=message):
        scored(data, "rf")


def test_without_a_limit_a_forest_may_take_all_that_is_free(data, monkeypatch):
    needed = scoring.COPIES_OF_A_FOREST * 4 * 2000 * N_GENES
    monkeypatch.setattr(memory, "room", lambda: needed // 2)
    monkeypatch.setattr(memory, "available", lambda: needed + 1)
    scored(data, "rf")
    monkeypatch.setattr(memory, "available", lambda: needed - 1)
    with pytest.raises(MemoryError, match="may be taken"):
        scored(data, "rf")


def test_batches_that_do_not_fit_say_what_they_need_before_a_pass_is_made(data, monkeypatch):
    data = replace(data, batch=pd.Categorical(np.arange(2000) % 2))
    monkeypatch.setattr(type(data), "expression", None)
    needed = scoring.BYTES_PER_COMPONENT * 2000 * N_GENES
    monkeypatch.setattr(memory, "available", lambda: needed - 1)
    with pytest.raises(MemoryError, match=r"60 components.*2,000 cells 0\.01 GB.*may be taken.*max_cells="):
        scored(data, "xgboost")


def test_a_model_of_ones_own_that_does_not_read_in_parts_is_given_an_array(data, small_blocks, no_room):
    witness = Witness()
    witness.in_parts = False
    scored(data, witness)
    assert witness.kind is np.ndarray


PEAK = """
import sys
import numpy as np
from scipy import sparse
from smash_gpu.data import shuffle
from smash_gpu.data.dataset import Dataset
from smash_gpu.models import boosted
from smash_gpu.runtime import memory, spill
from smash_gpu.selection import scoring
from smash_gpu.selection.options import Importance

shuffle.BYTES_PER_BLOCK, spill.BYTES_AT_ONCE = 4 * 2**20, 2**20
scoring.SHARE_FOR_EXPRESSION = boosted.SHARE_FOR_BINS = {share}

def data(n_cells, n_genes):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, n_cells)
    indices = rng.integers(0, n_genes // 8, (n_cells, 8)) + np.arange(8) * (n_genes // 8)
    indices[:, 0] = group
    values, ends = np.ones(n_cells * 8, np.float32), np.arange(n_cells + 1) * 8
    matrix = sparse.csr_matrix((values, indices.ravel(), ends), (n_cells, n_genes))
    names = np.arange(n_genes).astype(str).astype(object)
    return Dataset(matrix, group, np.array(list("abc"), dtype=object), names, names)

def run(data):
    if sys.argv[1] == "dnn":
        from smash_gpu.models.network import Training
        options = dict(training=Training(max_epochs=2), by_expression=True)
    else:
        options = dict(n_estimators=2, max_depth=3)
    return scoring.importance(data, np.ones(len(data.names), bool), Importance(sys.argv[1], options))

run(data(3000, 800))
large = data(60_000, 800)
before = memory.peak()
found = run(large)
assert found.accuracy[0] > 0.9
print((memory.peak() - before) / (4 * 60_000 * 800))
"""


def peak_of(model, share):
    """How much more memory many cells take than few, in units of their expression."""
    code = PEAK.format(share=share)
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize("model", SHORT)
def test_learning_from_a_file_takes_a_fraction_of_the_memory_of_the_expression(model):
    options_of(model)
    assert peak_of(model, share=0) < 0.4


def test_learning_in_memory_takes_at_least_the_memory_of_the_expression():
    """The control of the test above."""
    assert peak_of("xgboost", share=1) > 0.8
