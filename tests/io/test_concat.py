"""Several files are one data set."""

from __future__ import annotations

import os
import resource
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cases.files import FEW_TREES, FORMS, PLACES, STEPS, assert_same, markers, placed, split, stats, with_everything
from scipy import sparse

import smash_gpu as smg
from smash_gpu.cli import main
from smash_gpu.io import concat, csc_to_csr, integrity
from smash_gpu.io.lazy import OnDisk
from smash_gpu.io.open import open_file

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Writing zarr v2", "ignore:zarr v3 autosharding", "ignore:the matrix is stored by"
    ),
    pytest.mark.filterwarnings("ignore:Element .* was written without encoding", "ignore:Observation names are not"),
]


@pytest.mark.parametrize("form", FORMS)
def test_several_files_are_one_data_set(adata, tmp_path, wherever, form):
    def change(part, number):
        part.X = FORMS[form](part.X) if number else part.X
        return part

    paths = split(adata, tmp_path, change=change)
    found = concat.open_cells(paths, {"groupby": "cell_type"})
    assert isinstance(found, OnDisk) == (wherever == "on disk")
    assert found.var_names.tolist() == adata.var_names.tolist()
    assert found.obs_names.tolist() == adata.obs_names.tolist()
    assert found.obs["cell_type"].astype(str).tolist() == adata.obs["cell_type"].astype(str).tolist()
    assert found.obs["file"].value_counts(sort=False).to_dict() == {"part0": 70, "part1": 101, "part2": 69}
    assert (sparse.csr_matrix(found[:].X) != adata.X).nnz == 0
    assert_same(stats(found), stats(adata))


@pytest.mark.parametrize("place", PLACES)
def test_several_files_give_the_markers_of_one(adata, tmp_path, wherever, place):
    split(placed(adata, adata.X, place), tmp_path)
    pd.testing.assert_frame_equal(
        markers(str(tmp_path / "part*"), **PLACES[place]), markers(placed(adata, adata.X, place), **PLACES[place])
    )


@pytest.mark.slow
def test_finished_stages_of_several_files_are_found_again_until_one_changes(adata, tmp_path, on_disk, monkeypatch):
    adata.X = adata.X.tocsc()
    paths = split(adata, tmp_path)
    first = markers(paths, work=tmp_path / "work")
    made = sorted((tmp_path / "work").rglob("*"))
    assert sum(path.name.startswith("by-cells") for path in made) == 3

    def again(*_, **__):
        raise AssertionError("done again")

    with monkeypatch.context() as no_more:
        no_more.setattr("smash_gpu.data.dataset.group_stats", again)
        no_more.setattr(csc_to_csr, "_convert", again)
        pd.testing.assert_frame_equal(markers(paths, work=tmp_path / "work"), first)
    os.utime(paths[2], (0, 0))
    with pytest.warns(UserWarning, match="holds stages of .*part0.* current data differ"):
        markers(paths, work=tmp_path / "work")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_no_step_loads_several_files(adata, tmp_path, on_disk, nothing_is_loaded, step):
    paths = split(with_everything(adata), tmp_path)
    step(concat.open_cells(paths, {"use_raw": True} if "raw" in next(n for n, s in STEPS.items() if s is step) else {}))


@pytest.mark.slow
def test_the_command_line_takes_several_files_and_patterns(adata, tmp_path, wherever, capsys):
    paths = split(adata, tmp_path)
    smg.tl.smash(adata, "cell_type")
    expected = smg.get.markers(adata).astype({"group": str})
    for number, data in enumerate((paths, [tmp_path / "part*"])):
        out = tmp_path / str(number)
        command = ["find", *map(str, data), "--groupby", "cell_type", "--out", str(out), "--no-figures"]
        assert main(command) == 0
        pd.testing.assert_frame_equal(
            pd.read_csv(out / "markers.csv"), expected.reset_index(drop=True), check_dtype=False, rtol=1e-5
        )
    assert "3 files: 240 cells × 60 genes" in capsys.readouterr().out


@pytest.mark.slow
def test_the_file_of_a_cell_can_be_its_sample(adata, tmp_path, wherever):
    found = smg.tl.smash(split(adata, tmp_path), "cell_type", sample_key="file", model_options=FEW_TREES)
    assert (smg.get.markers(found)["samples"] == 1).all()


def test_columns_of_all_files_are_united(adata, tmp_path, wherever):
    def change(part, number):
        codes = part.obs["cell_type"].cat.codes.to_numpy()
        part.obs["number"] = codes.astype(np.float64 if number else np.int64)
        part.obs["cluster"] = codes if number else pd.Categorical(codes.astype(str))
        if number == 1:
            part.obs["only here"], part.obs["flag"] = "yes", codes > 0
        part.obs_names = [f"cell{i}" for i in range(part.n_obs)]
        return part

    found = concat.open_cells(split(adata, tmp_path, change=change), {})
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    assert found.obs["number"].tolist() == codes.tolist()
    assert found.obs["cluster"].astype(str).tolist() == list(map(str, codes))
    assert found.obs["only here"].notna().to_numpy().nonzero()[0].tolist() == list(range(70, 171))
    assert found.obs["flag"].isna().sum() == 240 - 101
    assert found.obs_names.is_unique
    assert found.obs_names[70] == "cell0-part1"
    with pytest.warns(UserWarning, match="without the matrices") if wherever == "on disk" else nullcontext():
        found.write_h5ad(tmp_path / "whole.h5ad")


def test_files_of_one_name_are_distinguished_by_their_folders(adata, tmp_path):
    for number, path in enumerate(split(adata, tmp_path, suffixes=("h5ad",) * 3)):
        (tmp_path / f"run{number}").mkdir()
        path.rename(tmp_path / f"run{number}" / "counts.h5ad")
    found = concat.open_cells(tmp_path / "run*" / "counts.h5ad", {})
    assert list(found.obs["file"].cat.categories) == ["run0/counts", "run1/counts", "run2/counts"]


NO_FILES = {
    "a pattern that nothing fits": ("*.h5ad", FileNotFoundError, r"no file matches '.*\*\.h5ad'"),
    "an empty list": ([], ValueError, "the list is empty"),
}


@pytest.mark.parametrize(("paths", "kind", "message"), NO_FILES.values(), ids=NO_FILES)
def test_no_files_at_all(tmp_path, paths, kind, message):
    with pytest.raises(kind, match=message):
        smg.tl.smash(str(tmp_path / paths) if isinstance(paths, str) else paths, "cell_type")


def test_one_of_several_files_that_is_not_there_or_there_twice(adata, tmp_path):
    paths = split(adata, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"part3\.h5ad.*Did you mean"):
        smg.tl.smash([*paths, tmp_path / "part3.h5ad"], "cell_type")
    with pytest.raises(ValueError, match=r"part0\.h5ad is given twice"):
        smg.tl.smash([*paths, tmp_path / "." / "part0.h5ad"], "cell_type")


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_too_many_open_files_are_not_taken_for_damage(adata, tmp_path, on_disk, suffix):
    path = tmp_path / f"cells.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    found, (soft, hard) = open_file(path), resource.getrlimit(resource.RLIMIT_NOFILE)
    named = integrity.naming_errors(found.X, lambda _: tmp_path.joinpath("chunk").open("w"))
    reads = [lambda: open_file(path), lambda: open_file(path, lazily=False), lambda: named(slice(5))]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(p.name) for p in Path("/proc/self/fd").iterdir()) + 3, hard))
    handles = []
    try:
        with suppress(OSError):
            while True:
                handles.append(os.open(os.devnull, os.O_RDONLY))
        for read in reads:
            with pytest.raises(OSError, match=rf"cells\.{suffix}.* too many files are open: .* ulimit -n"):
                read()
    finally:
        for handle in handles:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_paths_may_come_from_a_generator_or_an_array(adata, tmp_path):
    paths = split(adata, tmp_path)
    expected = markers(paths)
    for several in (iter(paths), tuple(paths), np.array(list(map(str, paths))), np.array(paths), pd.Series(paths)):
        pd.testing.assert_frame_equal(markers(several), expected)


OTHERS = [None, 3, np.ones((2, 2)), sparse.eye(3, format="csr"), {"a": "b"}, [b"a.h5ad"]]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: type(other).__name__)
def test_what_is_neither_data_nor_paths_is_named(other):
    with pytest.raises(TypeError, match=r"expected AnnData, a path, a pattern.*, not \w+"):
        smg.tl.smash(other, "cell_type")


def test_other_steps_ask_for_annotated_data(tmp_path):
    with pytest.raises(TypeError, match="AnnData is needed, not list.*tl.smash"):
        smg.pp.filter_genes(["a.h5ad", "b.h5ad"], "cell_type")
