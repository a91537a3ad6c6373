"""What only a device can show: the real libraries, agreement with the CPU, repeatability, memory that runs out.

The kernels' own assertions run on the device in `tests/kernels`, the statistics, the inverse PCA and the
containers in `data/test_stats`, `compute/test_pca` and `tl/test_smash` (``cupy_csr``).
"""

from __future__ import annotations

import gc
import json

import numpy as np
import pytest
from cases.unequal import assert_as_accurate, planted_markers, unequal_classes
from cells import planted
from scipy import sparse

import smash_gpu as smg
from smash_gpu import models
from smash_gpu.annotated.read import read
from smash_gpu.blocks.readers import by_rows
from smash_gpu.compute.device import release_memory
from smash_gpu.compute.xp import cupy, on_gpu, to_device
from smash_gpu.selection import steps
from smash_gpu.selection.options import Importance

pytestmark = pytest.mark.gpu


MODELS = {
    "rf": {"n_estimators": 60},
    "brf": {"n_estimators": 60},
    "xgboost": {"n_estimators": 20},
    "dnn": {},
}
SIGNED = ("rf", "brf", "xgboost")  # a Shapley value has no sign: genes that speak against a group count as much


def needs(model):
    for package in {"rf": ["cuml"], "brf": ["cuml"], "xgboost": ["xgboost"], "dnn": ["torch"]}[model]:
        pytest.importorskip(package)


def options(model):
    if model != "dnn":
        return MODELS[model]
    from smash_gpu.models.network import Training

    return {"training": Training(batch_size=20, learning_rate=1e-2)}


def chosen(adata, device, model, **how):
    smg.tl.smash(adata, "cell_type", model=model, n_top=3, device=device, filters={"families": ()},
                 model_options=options(model), **how)  # fmt: skip
    return adata


@pytest.mark.parametrize("model", MODELS)
def test_cpu_and_gpu_keep_the_same_candidates_and_find_the_same_markers(rng, model):
    """Candidates are equal for every model. Markers: the planted ones in both for trees; for the network, all planted
    markers are among the union of the lists in both.
    """
    needs(model)
    adata = planted(rng, n_cells=600)
    found, candidates = {}, {}
    for device in ("cpu", "cuda"):
        chosen(adata, device, model)
        candidates[device] = adata.var["smash_candidate"].to_numpy().copy()
        found[device] = {group: sorted(genes) for group, genes in smg.get.markers_dict(adata).items()}
    np.testing.assert_array_equal(candidates["cpu"], candidates["cuda"])
    if model in SIGNED:
        assert found["cpu"] == found["cuda"]
        return
    union = {device: {gene for genes in lists.values() for gene in genes} for device, lists in found.items()}
    assert all(name.startswith("MARKER") for name in union["cuda"] | union["cpu"])


@pytest.mark.parametrize("model", MODELS)
def test_classes_of_10_to_1000_cells_are_learnt_as_on_the_cpu(model):
    needs(model)
    X, group, split = unequal_classes()
    predicted = {}
    for device, values in (("cpu", X), ("cuda", to_device(X))):
        fitted = models.build(model, random_state=0, device=device, **options(model)).fit(values, group, split)
        predicted[device] = fitted.predict(values[split.test])
        assert planted_markers(fitted.importance(values, group, split)) >= 0.85, device
    assert_as_accurate(predicted["cuda"], predicted["cpu"], group[split.test])


@pytest.mark.parametrize("penalty", [0.0, 1.0], ids=["no penalty", "group lasso"])
@pytest.mark.parametrize("n_cells", [330, 331], ids=["30 in the last batch", "31 in the last batch"])
def test_recorded_training_steps_are_the_plain_steps(n_cells, penalty):
    """The same losses epoch by epoch, with drop-out, on one block of cells and on three."""
    torch = pytest.importorskip("torch")
    from smash_gpu.models import torch_training
    from smash_gpu.models.training_step import GroupLasso, RecordedStep, Step, training_step

    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(n_cells, 40, generator=generator), torch.randint(0, 4, (n_cells,), generator=generator)
    x, y = x.cuda(), y.cuda()
    for blocks in ([(x, y)], list(zip(x.split(111), y.split(111), strict=True))):
        losses = {}
        for name, step in (("plain", Step), ("recorded", training_step)):
            with torch_training.seeded(1, "cuda"):
                network = torch_training.perceptron(40, 4).cuda()
                lasso = GroupLasso.of(network, 40, penalty)
                step_of = step(network, torch.ones(4, device="cuda"), 1e-2, lasso)
                losses[name] = []
                for _ in range(12):
                    torch_training.train_epoch(step_of, blocks, 50)
                    losses[name].append(torch_training.held_out_loss(network, [(x, y)]))
            assert isinstance(step_of, RecordedStep) == (name == "recorded")
        assert step_of.recorded, "nothing was recorded"
        np.testing.assert_allclose(losses["recorded"], losses["plain"], rtol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_two_runs_on_a_device_are_equal_bit_for_bit(rng, model):
    needs(model)
    adata = planted(rng, n_cells=600)
    first, second = (chosen(adata, "cuda", model).varm["smash"].copy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_xgboost_really_trains_on_the_device(rng):
    pytest.importorskip("xgboost")
    from smash_gpu.data.splits import stratified
    from smash_gpu.models.boosted import Boosted

    group = np.repeat([0, 1, 2], 100)
    X = to_device(rng.gamma(1.0, 1.0, (300, 15)).astype(np.float32))
    model = Boosted(device="cuda", n_estimators=3).fit(X, group, stratified(group))
    assert json.loads(model.booster.save_config())["learner"]["generic_param"]["device"].startswith("cuda")


def test_integers_are_equal_and_sums_agree_between_cpu_and_gpu(rng):
    X = sparse.random(5000, 800, 0.1, format="csr", random_state=0, data_rvs=lambda n: rng.poisson(2, n) + 1.0)
    group = rng.integers(-1, 12, 5000)
    from smash_gpu.data.stats import group_stats

    cpu, gpu = (group_stats(X.astype(np.float32), group, 12, device=d) for d in ("cpu", "cuda"))
    for name in ("cells", "detected", "counts"):
        np.testing.assert_array_equal(getattr(gpu, name), getattr(cpu, name))
    assert np.all(np.abs(gpu.square - cpu.square) <= 2e-8 * cpu.detected)


def test_what_the_kernels_cannot_take_is_converted_on_the_device(rng):
    """Unsorted entries that occur twice, integers, True and False, and CuPy's own ``csr_array``."""
    cupyx = pytest.importorskip("cupyx.scipy.sparse")
    from smash_gpu.data.stats import group_stats

    counts = sparse.csr_matrix(rng.poisson(0.7, (300, 40)).astype(np.float32))
    group = rng.integers(0, 3, 300)
    expected = group_stats(counts, group, 3)
    halves = cupyx.csr_matrix(counts / 2)
    twice = cupyx.csr_matrix((halves.data.repeat(2), halves.indices.repeat(2), halves.indptr * 2), shape=halves.shape)
    held = {
        "twice": twice,
        "array": cupyx.csr_array(cupyx.csr_matrix(counts)),
        "csc": cupyx.csr_matrix(counts).tocsc(),
        "integers": cupy.asarray(counts.toarray().astype(np.int64)),
        "columns first": cupy.asarray(np.asfortranarray(counts.toarray())),
    }
    assert not twice.has_canonical_format
    for where, matrix in held.items():
        found = group_stats(by_rows(matrix), group, 3, device="cuda")
        np.testing.assert_array_equal(found.counts, expected.counts, err_msg=where)
        np.testing.assert_array_equal(found.detected, expected.detected, err_msg=where)
    true = group_stats(cupyx.csr_matrix(counts.astype(bool)), group, 3, device="cuda")
    np.testing.assert_array_equal(true.counts, expected.detected)


def test_cells_moved_by_rapids_singlecell_go_straight_in(rng):
    rsc = pytest.importorskip("rapids_singlecell")
    host = planted(rng, n_cells=600)
    moved = host.copy()
    rsc.get.anndata_to_GPU(moved)
    assert on_gpu(moved.X)
    for adata in (host, moved):
        chosen(adata, "cuda", "xgboost")
    assert smg.get.markers_dict(moved) == smg.get.markers_dict(host)


def test_batches_are_corrected_on_the_device(rng):
    """A gene that marks the batch alone falls behind once batches are corrected."""
    pytest.importorskip("rapids_singlecell")
    adata = planted(rng, n_cells=600)
    lane = np.where(adata.obs["cell_type"].cat.codes == 0, rng.random(600) < 0.9, rng.random(600) < 0.2)
    adata.obs["lane"] = np.where(lane, "a", "b")
    counts = adata.X.toarray()
    counts[:, -1] = rng.poisson(np.where(lane, 8.0, 0.5))
    adata.X = sparse.csr_matrix(counts)
    rank = {}
    for key in (None, "lane"):
        chosen(adata, "cuda", "xgboost", **({"batch_key": key} if key else {}))
        scores = np.nan_to_num(adata.varm["smash"][:, 0])
        rank[key] = int((scores > scores[-1]).sum())
    assert rank["lane"] > rank[None]


@pytest.fixture
def pool():
    """CuPy's pool as the allocator, which importing cuML or rapids-singlecell here or elsewhere may have changed."""
    before, pool = cupy.cuda.get_allocator(), cupy.get_default_memory_pool()
    cupy.cuda.set_allocator(pool.malloc)
    yield pool
    pool.set_limit(size=0)
    cupy.cuda.set_allocator(before)


@pytest.fixture
def pool_of(pool):
    """Limits CuPy's pool, beyond what it holds already, for one test."""

    def limit(size):
        gc.collect()
        pool.free_all_blocks()
        pool.set_limit(size=pool.used_bytes() + size)

    return limit


def test_a_device_with_little_memory_gets_smaller_blocks_and_the_same_sums(rng, pool_of):
    from smash_gpu.data.stats import group_stats

    X = sparse.random(60_000, 2000, 0.05, format="csr", random_state=0).astype(np.float32)
    group = rng.integers(0, 4, X.shape[0])
    whole = group_stats(X, group, 4, target_sum=None, device="cuda")
    pool_of(24 * 2**20)
    with pytest.warns(UserWarning, match="half as many"):
        halved = group_stats(X, group, 4, target_sum=None, device="cuda")
    np.testing.assert_array_equal(halved.detected, whole.detected)
    np.testing.assert_allclose(halved.total, whole.total, rtol=1e-8)


def test_no_memory_for_the_candidates_is_an_error_with_the_numbers(rng, pool_of):
    data = read(planted(rng, n_cells=4000), {"groupby": "cell_type", "device": "cuda"})
    pool_of(2**19)
    with pytest.raises(MemoryError, match="4,000 cells × 60 genes.*GiB.*Narrow"):
        data.expression(np.arange(60))


def test_deeplift_is_the_same_on_the_device(rng):
    torch = pytest.importorskip("torch")
    from smash_gpu.models.attribution import deeplift
    from smash_gpu.models.torch_training import perceptron

    torch.manual_seed(0)
    network = perceptron(40, 5).eval()
    x, r = torch.randn(30, 40), torch.randn(25, 40)
    found = []
    for device in ("cpu", "cuda"):
        moved = network.to(device)
        parts = deeplift.contributions(deeplift.Layers.of(moved), x.to(device), r.to(device), "tf")
        found.append(deeplift.mean_abs(parts, len(x)))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-7)


def test_what_the_device_lends_is_given_back(rng, pool):
    """After a selection CuPy's pool holds nothing that another library could need."""
    needs("xgboost")
    gc.collect()
    before = pool.used_bytes()
    adata = chosen(planted(rng, n_cells=600), "cuda", "xgboost")
    assert len(smg.get.markers(adata))
    gc.collect()
    release_memory()
    assert pool.used_bytes() <= before
    assert pool.free_bytes() == 0


def test_own_importance_runs_on_the_host_while_counts_are_on_the_device(rng):
    from sklearn.ensemble import ExtraTreesClassifier

    from smash_gpu.models.forest import Forest

    data = read(planted(rng), {"groupby": "cell_type", "device": "cuda"})
    how = Importance(Forest(ExtraTreesClassifier(20, random_state=0)))
    scores = steps.importance(data, np.ones(len(data.names), dtype=bool), how)
    assert np.isfinite(scores.mean).all()
