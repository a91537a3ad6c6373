"""Other kinds of files are named with the way out."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from smash_gpu.io.open import open_file

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Writing zarr v2", "ignore:zarr v3 autosharding", "ignore:the matrix is stored by"
    ),
    pytest.mark.filterwarnings("ignore:Element .* was written without encoding", "ignore:Observation names are not"),
]


def loom(path):
    with h5py.File(path, "w") as file:
        file["matrix"] = np.eye(3)
        file.create_group("row_attrs")


def ten_x(path):
    with h5py.File(path, "w") as file:
        file["matrix/barcodes"] = [b"A", b"B"]
        file["matrix/data"] = [1, 2]


def mudata(path):
    with h5py.File(path, "w") as file:
        file.create_group("mod/rna")


def text(path):
    path.write_text("1")


def ten_x_folder(path):
    path.mkdir()
    (path / "matrix.mtx.gz").touch()


def folder_of_files(path):
    path.mkdir()
    (path / "a.h5ad").touch()


OTHER_KINDS = {
    "cells.loom": (loom, r"loom file.*read_loom"),
    "cells.h5": (ten_x, r"10x Genomics.*read_10x_h5"),
    "cells.h5mu": (mudata, r"MuData.*mod\['rna'\]"),
    "cells.csv": (text, r"text.*read_csv"),
    "cells.tsv.gz": (text, r"text.*read_csv"),
    "matrix.mtx.gz": (text, r"read_10x_mtx"),
    "cells.rds": (text, r"R object.*anndataR"),
    "filtered": (ten_x_folder, r"zarr store.*read_10x_mtx"),
    "many": (folder_of_files, r"folder with a\.h5ad.*many/\*\.h5ad"),
    "cells": (text, r"write_h5ad"),
}


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize(("name", "case"), OTHER_KINDS.items(), ids=OTHER_KINDS)
def test_another_kind_of_file_is_named_with_the_way_out(tmp_path, name, case, lazily):
    write, message = case
    write(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} cannot be read.*{message}"):
        open_file(tmp_path / name, lazily=lazily)
