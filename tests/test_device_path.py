"""The code that runs on a device, run without one: CuPy's refusals, the kernels' own text, libraries that take only
arrays of the device. What the real libraries do is for `test_contracts` and, on a device, `test_gpu`.
"""

import weakref
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import strict_cupy
from cells import in_dask, planted
from scipy import sparse
from strict_cupy import DeviceArray, DeviceCsr

import smash_gpu as smg
from smash_gpu.annotated.read import read
from smash_gpu.blocks.fold import in_halves
from smash_gpu.data import stats
from smash_gpu.data.dataset import Dataset
from smash_gpu.data.splits import stratified
from smash_gpu.models import forest
from smash_gpu.selection import harmony, scoring, steps
from smash_gpu.selection.options import Filters, Importance, InversePCA


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_DEVICE_BLOCK", 50)
    return strict_cupy.install(monkeypatch)


@pytest.fixture
def data(rng):
    """The planted cells, read for a device."""
    return read(planted(rng), {"groupby": "cell_type", "device": "cpu"})


def on(data, device):
    return replace(data, device=device)


def test_the_stand_in_refuses_what_cupy_refuses(device):
    x, host = DeviceArray(np.arange(4.0)), np.arange(4.0)
    refused = (
        lambda: x + host,
        lambda: host + x,
        lambda: np.asarray(x),
        lambda: x[host.astype(int)],
        lambda: x.__setitem__(slice(2), host[:2]),
        lambda: device.maximum(x, host),
        lambda: device.concatenate([x, host]),
        lambda: device.maximum(x, [1.0, 2.0, 3.0, 4.0]),
    )
    for mixed in refused:
        with pytest.raises(TypeError):
            mixed()
    assert isinstance(x.sum(), DeviceArray)
    assert isinstance(2 * x + np.float64(1), DeviceArray)


@pytest.mark.parametrize("where", ["host", "device", "dask"])
def test_statistics_filters_and_inverse_pca_choose_the_same_genes(device, data, where):
    gpu = on(data, "cuda")
    if where == "device":
        gpu = replace(gpu, matrix=DeviceCsr(data.matrix))
    if where == "dask":
        pytest.importorskip("dask.array")
        gpu = replace(gpu, matrix=in_dask(data.matrix, 70))
    np.testing.assert_array_equal(gpu.stats.detected, data.stats.detected)
    np.testing.assert_array_equal(gpu.stats.counts, data.stats.counts)
    np.testing.assert_allclose(gpu.stats.total, data.stats.total, rtol=1e-12, atol=1e-9)
    chosen = []
    for part in (data, gpu):
        filtered, _ = steps.filter_genes(part, Filters(families=()))
        chosen.append(steps.inverse_pca(part, filtered, InversePCA(n_top=3, variance=0.3))[0])
    assert 0 < chosen[0].sum() < filtered.sum()
    np.testing.assert_array_equal(*chosen)


def unsorted_with_duplicates(matrix):
    """The same matrix with every value in two halves, at the two ends of its row."""
    rows = [np.r_[cells, cells[::-1]] for cells in np.split(np.arange(matrix.nnz), matrix.indptr[1:-1])]
    order = np.concatenate(rows)
    return sparse.csr_matrix((matrix.data[order] / 2, matrix.indices[order], matrix.indptr * 2), matrix.shape)


def dense_integers(matrix):
    return DeviceArray(matrix.toarray().astype(np.int64))


@pytest.mark.parametrize("hold", [lambda m: DeviceCsr(unsorted_with_duplicates(m)), dense_integers])
def test_what_the_kernels_cannot_take_is_converted_on_the_device(device, data, hold):
    gpu = replace(on(data, "cuda"), matrix=hold(data.matrix))
    np.testing.assert_array_equal(gpu.stats.detected, data.stats.detected)
    np.testing.assert_array_equal(gpu.stats.counts, data.stats.counts)
    found = gpu.expression(np.array([4, 1]))
    np.testing.assert_allclose(found.get(), data.expression(np.array([4, 1])), rtol=1e-6)


def test_true_and_false_are_counted_on_a_device(device, data):
    matrix = data.matrix.astype(bool)
    gpu = replace(on(data, "cuda"), matrix=DeviceCsr(matrix))
    np.testing.assert_array_equal(gpu.stats.counts, data.stats.detected)


def test_a_matrix_on_the_device_is_asked_once_whether_it_is_canonical(device, data, monkeypatch):
    gpu = replace(on(data, "cuda"), matrix=DeviceCsr(data.matrix))
    monkeypatch.setattr(DeviceCsr, "questions", 0)
    _ = on(gpu, "cuda").stats
    _ = gpu.stats
    gpu.expression(np.array([4, 1]))
    assert DeviceCsr.questions == 1


def test_a_block_that_did_not_fit_is_gone_before_its_halves_are_tried():
    """An exception holds on to the arrays of the frames that it passed through."""
    held = []

    def step(cut):
        assert all(block() is None for block in held), "memory of the whole block is still taken"
        block = np.zeros(cut.stop - cut.start)
        held.append(weakref.ref(block))
        if len(block) > 3:
            raise IndexError("invalid index") from MemoryError("of CuPy")
        return len(block)

    with pytest.warns(UserWarning, match="half as many"):
        assert in_halves(step, slice(0, 10)) == 10
    assert len(held) > 5


def test_the_sums_on_a_device_are_equal_bit_for_bit_in_every_run(device, data):
    first, second = (stats.group_stats(data.matrix, data.group, 3, device="cuda") for _ in range(2))
    np.testing.assert_array_equal(first.square, second.square)


def test_a_cell_left_out_is_left_out_on_a_device(device, data):
    part = data.only(data.cells[::3])
    np.testing.assert_array_equal(on(part, "cuda").stats.detected, part.stats.detected)
    found = on(part, "cuda").expression(np.array([4, 1]))
    assert isinstance(found, DeviceArray)
    np.testing.assert_allclose(found.get(), part.expression(np.array([4, 1])), rtol=1e-6)


class StandInForest:
    """Takes what cuML's forest takes on a device, and nothing else."""

    def __init__(self, **options):
        self.options, self.max_samples = options, 1.0

    def fit(self, X, y, sample_weight=None):
        from sklearn.ensemble import RandomForestClassifier

        assert all(isinstance(part, DeviceArray) for part in (X, y, sample_weight))
        assert (X.dtype, y.dtype, sample_weight.dtype) == (np.float32, np.int32, np.float64)
        assert 0 < self.max_samples <= 1
        self.forest = RandomForestClassifier(30, random_state=0).fit(X.get(), y.get(), sample_weight.get())
        self.feature_importances_ = self.forest.feature_importances_
        return self

    def predict(self, X):
        assert isinstance(X, DeviceArray)
        return DeviceArray(self.forest.predict(X.get()))


def stand_in_for_xgboost(monkeypatch):
    """Arrays of the device cross into XGBoost's CPU build, which takes them from the host; no others may."""
    from xgboost import Booster

    from smash_gpu.models import boosted
    from smash_gpu.models.attribution import treeshap

    def host(X):
        assert isinstance(X, DeviceArray)
        return X.get()

    following, predicted, explained = boosted.Batches.next, Booster.inplace_predict, treeshap.contributions
    monkeypatch.setattr(boosted, "build_info", lambda: {"USE_CUDA": True})
    monkeypatch.setattr(boosted.Batches, "next", lambda self, input_data: following(
        self, lambda data, **rest: input_data(data=host(data), **rest)))  # fmt: skip
    monkeypatch.setattr(Booster, "inplace_predict", lambda self, X: DeviceArray(predicted(self, host(X))))
    monkeypatch.setattr(treeshap, "contributions", lambda booster, X, n: explained(booster, host(X), n))


@pytest.mark.filterwarnings("ignore:.*No visible GPU")
@pytest.mark.filterwarnings("ignore:.*Device is changed")
@pytest.mark.parametrize("model", ["rf", "brf"])
def test_forests_on_a_device_find_the_planted_markers(device, monkeypatch, rng, model):
    monkeypatch.setattr(forest, "_cuml_forest", lambda n_estimators, **o: StandInForest(**o))
    adata = planted(rng)
    smg.tl.smash(adata, "cell_type", model=model, n_top=3, device="cuda", filters={"families": ()})
    for c, (_, found) in enumerate(smg.get.markers_dict(adata).items()):
        assert sorted(found) == [f"MARKER{c}{letter}" for letter in "XYZ"]


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


def test_the_network_takes_arrays_of_the_device(device, data):
    pytest.importorskip("torch")
    from smash_gpu.models.network import Network, Training

    genes = np.arange(20)
    split = stratified(data.labels)
    scores = []
    for X in (data.expression(genes), on(data, "cuda").expression(genes)):
        model = Network(training=Training(max_epochs=4), max_explained=20).fit(X, data.labels, split)
        scores.append(model.importance(X, data.labels, split))
        assert isinstance(model.predict(X), np.ndarray)
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-3, atol=1e-6)


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


def test_csr_in_a_dataset_is_never_dense(device, data):
    """Only the genes asked for leave the sparse block."""
    wide = sparse.hstack([data.matrix, sparse.csr_matrix((data.matrix.shape[0], 5000), dtype=np.float32)]).tocsr()
    found = Dataset(wide, data.group, data.groups, np.arange(wide.shape[1]), np.arange(wide.shape[1]), device="cuda")
    assert found.expression(np.array([0, 4000])).shape == (len(data.cells), 2)


@pytest.mark.parametrize("drawn_down", [False, True])
def test_the_draw_makes_up_for_the_sizes_of_the_groups(rng, drawn_down):
    group = rng.permutation(np.repeat([0, 1, 3], [300, 80, 20]))
    weight, share = forest.draw_weights(group, drawn_down=drawn_down)
    drawn = np.bincount(group, weights=weight[group])
    expected = np.array([1, 1, 0, 1]) if not drawn_down else np.array([1 / 300, 1 / 80, 0, 1 / 20])
    np.testing.assert_allclose(drawn / drawn.sum(), expected / expected.sum(), rtol=1e-5)
    assert share == (3 * 20 / 400 if drawn_down else 1.0)


def test_a_panel_designed_on_a_device_is_the_panel(monkeypatch, rng):
    adata, found = planted(rng), {}
    for where in ("cpu", "cuda"):
        if where == "cuda":
            strict_cupy.install(monkeypatch)
        smg.tl.panel(adata, "cell_type", n_genes=8, min_markers=1, max_transcripts=60, device=where)
        found[where] = [smg.get.panel_table(adata, name) for name in ("genes", "pairs", "curve", "purposes")]
    for cpu, device in zip(*found.values(), strict=True):
        pd.testing.assert_frame_equal(device, cpu)
