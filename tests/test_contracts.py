"""Every class, function and keyword that the device path uses exists in the real CUDA packages.

They install and import without a device (`.ci/contracts` makes the environment); only what would run on one fails.
"""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from cells import planted

import smash_gpu
from smash_gpu import models
from smash_gpu.compute.device import is_out_of_memory, resolve_device
from smash_gpu.compute.xp import on_gpu
from smash_gpu.data.splits import stratified
from smash_gpu.evaluation import classifiers
from smash_gpu.selection import harmony

pytestmark = pytest.mark.contract


PACKAGE = Path(smash_gpu.__file__).parent
LIBRARIES = {"xp": "cupy", "cupy": "cupy", "device_sparse": "cupyx.scipy.sparse"}


def dotted(node):
    """``xp.linalg.eigh`` of an attribute chain, or an empty string."""
    if isinstance(node, ast.Attribute):
        above = dotted(node.value)
        return above and f"{above}.{node.attr}"
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "namespace":
        return "xp"
    return node.id if isinstance(node, ast.Name) else ""


def uses():
    """(file, dotted name, number of positional arguments, keywords) of everything that the package takes from CuPy."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        calls = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
        for node in ast.walk(tree):
            name = dotted(node).removeprefix("libraries.") if isinstance(node, ast.Attribute) else ""
            if name.partition(".")[0] in LIBRARIES:
                call = calls.get(id(node))
                listed = call is not None and not any(isinstance(a, ast.Starred) for a in call.args)
                yield (
                    path.name,
                    name,
                    len(call.args) if listed else None,
                    tuple(k.arg for k in call.keywords if k.arg) if call else (),
                )


USES = sorted(set(uses()), key=str)


def test_the_package_uses_cupy():
    assert len(USES) > 40
    some = {"xp.linalg.eigh", "xp.searchsorted", "cupy.cuda.runtime.memGetInfo", "device_sparse.csr_matrix"}
    assert some <= {name for _, name, _, _ in USES}


@pytest.mark.parametrize(("file", "name", "n_arguments", "keywords"), USES, ids=[f"{f}:{n}" for f, n, _, _ in USES])
def test_cupy_has_it_with_our_arguments(file, name, n_arguments, keywords):
    import cupy  # noqa: F401

    library, *rest = name.split(".")
    found = __import__(LIBRARIES[library], fromlist=["_"])
    for part in rest:
        found = getattr(found, part)
    if n_arguments is None:
        return
    if isinstance(found, cupy.ufunc):
        assert n_arguments == found.nin
        assert set(keywords) <= {"out", "dtype", "casting"}
        return
    if name == "cupy.RawModule":  # has no signature to read, but is built without a device
        found(code="", **{k: () for k in keywords if k != "code"})
        return
    try:
        signature = inspect.signature(found)
    except ValueError:
        assert not keywords, "compiled, and without a signature to compare with"
        return
    signature.bind(*[None] * n_arguments, **dict.fromkeys(keywords))


def test_cupys_sparse_rows_have_what_blocks_and_ops_use():
    from cupyx.scipy.sparse import csr_matrix

    wanted = {"tocsr", "copy", "sum_duplicates", "get", "__getitem__", "has_canonical_format", "nnz"}
    assert wanted <= set(dir(csr_matrix))


@pytest.mark.parametrize(("name", "n_trees", "depth"), [("rf", 100, 24), ("brf", 200, 50)])
def test_cumls_forests_are_built_and_fitted_with_our_arguments(name, n_trees, depth):
    model = models.build(name, random_state=3, device="cuda")
    estimator = model.estimator
    assert type(estimator).__module__.startswith("cuml.")
    assert (estimator.n_estimators, estimator.max_depth, estimator.random_state) == (n_trees, depth, 3)
    assert estimator.bootstrap, "the weights act through the draw"
    model.estimator.max_samples = 0.5
    inspect.signature(estimator.fit).bind(None, None, sample_weight=None)
    inspect.signature(estimator.predict).bind(None)
    assert "feature_importances_ : ndarray of shape (n_features,)" in type(estimator).__doc__


def test_options_of_cumls_forest_reach_it():
    assert models.build("rf", random_state=0, device="cuda", min_samples_leaf=7).estimator.min_samples_leaf == 7
    assert models.build("rf", random_state=0, device="cuda", max_depth=None).estimator.max_depth is None
    with pytest.raises(TypeError):
        models.build("rf", random_state=0, device="cuda", n_jobs=2)


def test_xgboost_takes_our_parameters_for_a_device(rng, monkeypatch):
    """Without a device it trains on the CPU, on host arrays, and says so; the configuration keeps what was asked."""
    for module in ("boosted", "xgboost_bins"):
        monkeypatch.setattr(f"smash_gpu.models.{module}.place", lambda array, device: array)
    monkeypatch.setattr("smash_gpu.models.boosted.device_room", lambda: 2**30)
    group = np.repeat([0, 1, 2], 30)
    X = rng.gamma(1.0, 1.0, (90, 12)).astype(np.float32)
    X[np.arange(90), group] += 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = models.build("xgboost", random_state=0, device="cuda", n_estimators=5)
        scores = model.fit(X, group, stratified(group)).importance(X, group, stratified(group))
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    parameters = json.loads(model.booster.save_config())["learner"]
    assert parameters["gradient_booster"]["gbtree_train_param"]["tree_method"] in ("auto", "hist")


def test_harmony_is_called_as_rapids_singlecell_defines_it(monkeypatch, rng):
    import pandas as pd
    import rapids_singlecell as rsc

    signature = inspect.signature(rsc.pp.harmony_integrate)

    def corrected(*arguments, **options):
        bound = signature.bind(*arguments, **options).arguments
        assert (bound["flavor"], bound["ridge_lambda"]) == ("harmony1", harmony.RIDGE)
        bound["adata"].obsm[bound["adjusted_basis"]] = bound["adata"].obsm[bound["basis"]] + 1

    monkeypatch.setattr(rsc.pp, "harmony_integrate", corrected)
    components = rng.normal(size=(20, 4))
    batches = pd.DataFrame({"batch": ["a", "b"] * 10})
    np.testing.assert_allclose(harmony._harmonize_on_device(components, batches, 0), components + 1)


def test_annotated_cells_are_moved_by_the_functions_the_readme_names():
    import rapids_singlecell as rsc

    inspect.signature(rsc.get.anndata_to_GPU).bind(None, convert_all=True)


def test_torch_takes_arrays_by_dlpack_and_has_the_memory_calls():
    import cupy
    import torch

    assert hasattr(cupy.ndarray, "__dlpack__") and hasattr(cupy.ndarray, "__dlpack_device__")
    assert torch.cuda.is_initialized() is False
    assert callable(torch.cuda.empty_cache)


def test_a_machine_without_a_driver_is_told_so():
    with pytest.raises(RuntimeError, match="no NVIDIA driver|no CUDA device is visible") as raised:
        resolve_device("cuda")
    assert "nvidia-smi" in str(raised.value)
    assert resolve_device("auto") == "cpu"


@pytest.mark.parametrize("of", ["forests", "Harmony"])
def test_our_imports_of_rapids_leave_cupys_allocator_as_it_was(of):
    """Importing cuML or rapids-singlecell makes RMM, without a pool, CuPy's allocator."""
    first = {
        "forests": "models.build('rf', random_state=0, device='cuda')",
        "Harmony": "batches = pandas.DataFrame({'batch': list('abab')})\n"
        "try: harmony._harmonize_on_device(numpy.ones((4, 2)), batches, 0)\nexcept Exception: pass",
    }[of]
    script = (
        "import cupy, numpy, pandas\nfrom smash_gpu import models\nfrom smash_gpu.selection import harmony\n"
        "before = cupy.cuda.get_allocator()\n"
        f"{first}\nimport sys; assert 'cuml' in sys.modules\nassert cupy.cuda.get_allocator() == before\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    by_hand = "import cupy; before = cupy.cuda.get_allocator(); import cuml; assert cupy.cuda.get_allocator() != before"
    subprocess.run([sys.executable, "-c", by_hand], check=True)  # else `same_allocator` can go


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_matrix"])
def test_every_sparse_kind_of_cupy_is_known_to_lie_on_a_device(kind):
    import cupyx.scipy.sparse

    found = getattr(cupyx.scipy.sparse, kind)
    assert on_gpu(found.__new__(found))


def test_kernels_are_launched_as_cupy_defines_it():
    """Names of the attribute, the setter and the null pointer; a module is compiled on a device only."""
    import cupy

    assert hasattr(cupy.cuda.runtime, "cudaDevAttrMaxSharedMemoryPerBlockOptin")
    assert cupy.RawKernel.max_dynamic_shared_size_bytes.__doc__.rstrip().endswith("Can be set.")


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_without_a_device_everything_runs_on_the_cpu_although_the_packages_are_there(rng, device):
    adata = planted(rng)
    how = {"filters": {"families": ()}, "model_options": {"n_estimators": 5}}
    smash_gpu.tl.smash(adata, "cell_type", model="xgboost", n_top=1, device=device, **how)
    assert all(name.startswith("MARKER") for name in smash_gpu.get.markers(adata)["name"])


def test_cupys_out_of_memory_is_understood():
    import cupy

    assert is_out_of_memory(cupy.cuda.memory.OutOfMemoryError(8, 4))


@pytest.mark.parametrize("name", classifiers.CLASSIFIERS)
def test_cumls_classifiers_that_judge_are_built_with_our_arguments(name):
    """They are built without a device; only fitting needs one."""
    asked = {
        "knn": ("cuml.neighbors", "KNeighborsClassifier", {"n_neighbors", "output_type"}),
        "logreg": ("cuml.linear_model", "LogisticRegression", {"max_iter", "output_type"}),
        "forest": ("cuml.ensemble", "RandomForestClassifier", {"n_estimators", "n_streams", "random_state"}),
    }
    module, kind, keywords = asked[name]
    model = classifiers.build(name, device="cuda", random_state=3)
    found = getattr(__import__(module, fromlist=[kind]), kind)
    assert type(model) is found
    assert keywords <= set(inspect.signature(found).parameters)
    inspect.signature(model.fit).bind(None, None)
    inspect.signature(model.predict).bind(None)


def test_cumls_pca_takes_our_arguments():
    from cuml.decomposition import PCA

    model = PCA(n_components=3, svd_solver="full", output_type="cupy")
    inspect.signature(model.fit).bind(None)
    assert all(f"{name} : array" in PCA.__doc__ for name in ("components_", "explained_variance_ratio_"))


def test_cumls_neighbours_are_searched_with_our_arguments():
    from cuml.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=30, output_type="numpy")
    inspect.signature(model.fit).bind(None)
    assert inspect.signature(model.kneighbors).parameters["return_distance"].default is True


def test_the_readmes_cluster_of_gpus_is_built_with_arguments_that_it_has():
    from dask_cuda import LocalCUDACluster

    inspect.signature(LocalCUDACluster.__init__).bind(None, rmm_pool_size=0.7, rmm_allocator_external_lib_list="cupy")


def test_xgboost_on_dask_takes_our_arguments():
    from xgboost import dask
    from xgboost.collective import Config

    keywords = {"data": None, "label": None, "weight": None, "max_bin": 32}
    inspect.signature(dask.DaskQuantileDMatrix).bind(None, **keywords)
    inspect.signature(dask.train).bind(None, {}, None, num_boost_round=3, coll_cfg=Config(timeout=5))
