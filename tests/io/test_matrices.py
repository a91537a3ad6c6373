"""Every kind of matrix answers the same questions, and one module alone asks them."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import zarr
from cells import PUT
from scipy import sparse

import smash_gpu as smg
from smash_gpu.blocks.fold import stream
from smash_gpu.io import integrity, matrices
from smash_gpu.io.stack import Stack

LAYOUTS = {"csr": "csr", "csc": "csc", "ces": "csr"}  # by a part of the name; others are dense


@pytest.fixture
def counts(rng):
    return sparse.csr_matrix(rng.poisson(0.7, (60, 40)).astype(np.float32))


def held(kind, counts, path):
    return Stack([counts[:20], counts[20:]], [None, None]) if kind == "stack" else PUT[kind](counts, path)


KINDS = ["numpy", "csr_matrix", "csr_array", "csc_matrix", "int64_indices", "h5ad_csr", "h5ad_csc", "h5ad_dense"]
KINDS += ["zarr_csr", "zarr_dense", "stack"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_answers(kind, counts, tmp_path):
    X = held(kind, counts, tmp_path)
    layout = next((name for part, name in LAYOUTS.items() if part in kind), "dense")
    is_dense = kind.endswith(("numpy", "dense"))
    assert matrices.layout(X) == layout
    assert matrices.values_per_cell(X) == pytest.approx(40 if is_dense else counts.nnz / 60, rel=0.2)
    assert (matrices.stored_bytes(X) is None) == (not kind.startswith(("h5ad", "zarr")))
    n_values = counts.size if not is_dense else 60 * 40
    bytes_per_value = 4 if is_dense else 12 if kind == "int64_indices" else 8
    assert matrices.unpacked_bytes(X) == n_values * bytes_per_value
    whole = matrices.to_memory(X)
    np.testing.assert_array_equal(whole if is_dense else whole.toarray(), counts.toarray())
    offsets = matrices.row_offsets(X)
    assert (offsets is None) == (layout != "csr")
    if offsets is not None:
        np.testing.assert_array_equal(offsets, counts.indptr)
    assert len(matrices.parts(X)) == (2 if kind == "stack" else 1)
    assert bool(matrices.places(X)) == kind.startswith(("h5ad", "zarr"))


@pytest.mark.filterwarnings("ignore:the matrix is stored by genes")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_had_by_cells(kind, counts, tmp_path):
    X = matrices.rows_first(held(kind, counts, tmp_path))
    assert matrices.layout(X) != "csc"
    found = sparse.vstack([block for (block,) in stream(X)])
    np.testing.assert_array_equal(found.toarray(), counts.toarray())


class Counted(zarr.storage.LocalStore):
    """Counts how often each chunk is read."""

    reads = Counter()

    async def get(self, key, *arguments, **options):
        self.reads[key] += 1
        return await super().get(key, *arguments, **options)


@pytest.fixture
def counted(counts, tmp_path, monkeypatch):
    """Row offsets in one chunk, column numbers in many."""
    monkeypatch.setattr(Counted, "reads", Counter())
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    ad.io.write_elem(group, "X", counts, dataset_kwargs={"chunks": (100,)})
    return ad.io.sparse_dataset(zarr.open_group(Counted(tmp_path / "a.zarr"), mode="r")["X"])


def test_offsets_are_read_once_in_a_pass(counted, monkeypatch):
    monkeypatch.setattr("smash_gpu.blocks.sizes.CELLS_PER_BLOCK", 10)
    assert len(list(stream(counted))) == 6
    assert Counted.reads["X/indptr/c/0"] == 1


def test_offsets_are_read_once_however_many_chunks_are_missing(tmp_path, monkeypatch):
    """Cells with one value each, of the first gene: zarr stores no chunk of column numbers, by right."""
    monkeypatch.setattr(Counted, "reads", Counter())
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    matrix = sparse.csr_matrix((np.ones(900, np.float32), np.zeros(900, int), np.arange(901)), (900, 5))
    ad.io.write_elem(group, "X", matrix, dataset_kwargs={"chunks": (1000,)})
    del group["X/indices"]
    group["X"].create_array("indices", shape=(900,), chunks=(10,), dtype="i4")
    X = ad.io.sparse_dataset(zarr.open_group(Counted(tmp_path / "a.zarr"), mode="r")["X"])
    integrity.require_whole(X)
    assert X.group["indices"].nchunks_initialized == 0
    assert Counted.reads["X/indptr/c/0"] == 1


# --- who asks ------------------------------------------------------------------------------------------------------

ON_DISK = {"CSRDataset", "CSCDataset", "h5py.Dataset", "h5py.Group", "zarr.Array", "Stack"}
TELLING = {"matrices", "group", "chunks", "shards", "backend", "indptr", "keys"}  # attributes that some kinds have only
MAY_ASK = {"io/matrices.py", "io/stack.py", "blocks/readers.py"}


def questions(tree):
    """Lines that ask which kind of matrix on disk something is."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = getattr(call.func, "id", "")
        if function in ("isinstance", "issubclass"):
            named = {ast.unparse(node) for node in ast.walk(call.args[1]) if isinstance(node, ast.Name | ast.Attribute)}
            if named & ON_DISK:
                yield call.lineno
        if function in ("hasattr", "getattr") and getattr(call.args[1], "value", None) in TELLING:
            yield call.lineno


@pytest.mark.parametrize(
    "line", ["isinstance(X, h5py.Dataset | np.ndarray)", "isinstance(X, (A, CSRDataset))", "hasattr(X, 'chunks')"]
)
def test_a_question_is_noticed(line):
    assert list(questions(ast.parse(line))) == [1]


@pytest.mark.slow
def test_the_kind_of_a_matrix_on_disk_is_asked_for_in_one_place():
    package = Path(smg.__file__).parent
    sources = {str(path.relative_to(package)): ast.parse(path.read_text()) for path in package.rglob("*.py")}
    found = {name: list(questions(tree)) for name, tree in sources.items() if name not in MAY_ASK}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_csc_on_disk_is_converted_at_one_door():
    """`matrices.rows_first`, with which `csc_to_csr.by_cells` is registered; nobody calls that past it."""
    package = Path(smg.__file__).parent
    code = {str(p.relative_to(package)): p.read_text() for p in package.rglob("*.py")}
    users = {name for name, text in code.items() if "csc_to_csr" in name + text and "by_cells" in text}
    assert users == {"io/csc_to_csr.py"}
