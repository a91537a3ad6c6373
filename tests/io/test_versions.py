"""Files and stores of other versions of anndata are read, in memory and from disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.files import assert_same, stats
from scipy import sparse
from written_by_anndata.contents import contents

import smash_gpu as smg
from smash_gpu.io.lazy import OnDisk

FILES = Path(__file__).parents[1] / "written_by_anndata"
VERSIONS = ["0.10", "0.11", "0.12", "0.13"]
PLACES = [{"normalize": False}, {"layer": "by_genes"}, {"layer": "dense"}, {"use_raw": True}]


@pytest.fixture(params=[f"{version}.{suffix}" for version in VERSIONS for suffix in ("h5ad", "zarr")])
def path(request, tmp_path):
    """A copy of a file, or an unpacked store."""
    target = tmp_path / request.param
    if target.suffix == ".h5ad":
        return Path(shutil.copy(FILES / target.name, target))
    shutil.unpack_archive(FILES / f"{target.name}.zip", target)
    return target


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.filterwarnings("ignore:the matrix is stored by genes")
def test_all_of_a_file_is_read(path, lazily):
    found, expected = smg.read(path, lazily=lazily), contents()
    assert isinstance(found, OnDisk) == lazily
    for name, column in expected.obs.items():
        assert found.obs[name].isna().tolist() == column.isna().tolist(), name
        assert found.obs[name].dropna().tolist() == column.dropna().tolist(), name
    assert (*found.obs_names, *found.var_names) == (*expected.obs_names, *expected.var_names)
    assert found.obs_names.dtype == found.raw.var_names.dtype == pd.Index(["text"]).dtype
    assert found.uns["note"] == "kept"
    np.testing.assert_array_equal(found.uns["nested"]["values"], np.arange(3))
    np.testing.assert_array_equal(found.varm["loadings"], expected.varm["loadings"])
    for place in PLACES:
        assert_same(stats(found, **place), stats(expected, **place))


@pytest.mark.parametrize("lazily", [False, True])
def test_a_part_of_a_file_and_its_raw(path, lazily):
    found, expected = smg.read(path, lazily=lazily)[10:60, ["GENE3", "GENE0"]], contents()[10:60, ["GENE3", "GENE0"]]
    assert found.obs["cell_type"].tolist() == expected.obs["cell_type"].tolist()
    for X, Y in (
        (found.X, expected.X),
        (found.layers["dense"], expected.layers["dense"]),
        (found.raw.X, expected.raw.X),
    ):
        np.testing.assert_array_equal(sparse.csr_matrix(X).toarray(), sparse.csr_matrix(Y).toarray())


def test_results_in_a_file_of_another_version(path, tmp_path):
    found = smg.read(path)
    smg.tl.panel(found, "cell_type", n_genes=5, use_raw=True)
    found.uns["table"] = pd.DataFrame({"text": pd.array(["a", None, "b"], dtype="string")})
    with ad.settings.override(allow_write_nullable_strings=True):
        getattr(found, f"write_{path.suffix[1:]}")(tmp_path / f"again{path.suffix}")
    again = smg.read(tmp_path / f"again{path.suffix}")
    assert smg.get.panel(again) == smg.get.panel(found)
    assert again.raw.var_names.equals(found.raw.var_names)
    getattr(again, f"write_{path.suffix[1:]}")(tmp_path / f"thrice{path.suffix}")
