"""Every class, function and keyword that the device path uses exists in the real CUDA packages.

They install and import without a device (`.ci/contracts` makes the environment); only what would run on one fails.
"""

import ast
import inspect
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import smash_gpu
from smash_gpu import arrays, batch, models
from smash_gpu.evaluation import classifiers
from smash_gpu.splits import stratified

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
    """(file, dotted name, keywords) of everything that the package takes from CuPy."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        keywords = {id(n.func): [k.arg for k in n.keywords] for n in ast.walk(tree) if isinstance(n, ast.Call)}
        for node in ast.walk(tree):
            name = dotted(node) if isinstance(node, ast.Attribute) else ""
            if name.partition(".")[0] in LIBRARIES:
                yield path.name, name, tuple(keywords.get(id(node), ()))


USES = sorted(set(uses()))


def test_the_package_uses_cupy():
    assert len(USES) > 40
    assert {"xp.linalg.eigh", "xp.bincount", "device_sparse.csr_matrix"} & {name for _, name, _ in USES}


@pytest.mark.parametrize(("file", "name", "keywords"), USES, ids=[f"{f}:{n}" for f, n, _ in USES])
def test_cupy_has_it_with_our_keywords(file, name, keywords):
    import cupy  # noqa: F401

    library, *rest = name.split(".")
    found = __import__(LIBRARIES[library], fromlist=["_"])
    for part in rest:
        found = getattr(found, part)
    if not keywords or isinstance(found, cupy.ufunc):
        return
    if name == "cupy.RawModule":  # has no signature to read, but is built without a device
        found(code="", **{k: () for k in keywords if k != "code"})
        return
    parameters = inspect.signature(found).parameters
    assert any(p.kind is p.VAR_KEYWORD for p in parameters.values()) or set(keywords) <= set(parameters)


def test_cupys_sparse_rows_have_what_blocks_and_ops_use():
    from cupyx.scipy.sparse import csr_matrix

    wanted = {"tocsr", "copy", "sum_duplicates", "get", "__getitem__", "has_canonical_format", "nnz"}
    assert wanted <= set(dir(csr_matrix))


@pytest.mark.parametrize(("name", "depth"), [("rf", None), ("brf", 50)])
def test_cumls_forests_are_built_and_fitted_with_our_arguments(name, depth):
    model = models.build(name, random_state=3, device="cuda")
    estimator = model.estimator
    assert type(estimator).__module__.startswith("cuml.")
    assert (estimator.n_estimators, estimator.max_depth, estimator.random_state) == (
        {None: 100, 50: 200}[depth],
        depth,
        3,
    )
    assert estimator.bootstrap, "the weights act through the draw"
    model.estimator.max_samples = 0.5
    inspect.signature(estimator.fit).bind(None, None, sample_weight=None)
    inspect.signature(estimator.predict).bind(None)
    assert "feature_importances_ : ndarray of shape (n_features,)" in type(estimator).__doc__


def test_options_of_cumls_forest_reach_it():
    assert models.build("rf", random_state=0, device="cuda", min_samples_leaf=7).estimator.min_samples_leaf == 7
    with pytest.raises(TypeError):
        models.build("rf", random_state=0, device="cuda", n_jobs=2)


def test_xgboost_takes_our_parameters_for_a_device(rng):
    """Without a device it trains on the CPU and says so; the configuration keeps what was asked for."""
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
        assert (bound["flavor"], bound["ridge_lambda"]) == ("harmony1", batch.RIDGE)
        bound["adata"].obsm[bound["adjusted_basis"]] = bound["adata"].obsm[bound["basis"]] + 1

    monkeypatch.setattr(rsc.pp, "harmony_integrate", corrected)
    components = rng.normal(size=(20, 4))
    batches = pd.DataFrame({"batch": ["a", "b"] * 10})
    np.testing.assert_allclose(batch._harmonize_on_device(components, batches, 0), components + 1)


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
        arrays.resolve_device("cuda")
    assert "nvidia-smi" in str(raised.value)
    assert arrays.resolve_device("auto") == "cpu"


def test_cupys_out_of_memory_is_understood():
    import cupy

    assert arrays.is_out_of_memory(cupy.cuda.memory.OutOfMemoryError(8, 4))


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


def test_cumls_neighbours_are_searched_with_our_arguments():
    from cuml.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=30, output_type="numpy")
    inspect.signature(model.fit).bind(None)
    assert inspect.signature(model.kneighbors).parameters["return_distance"].default is True
