"""Cells of every kind of column and matrix; run by ``make`` with several versions of anndata, imported by the tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

N_CELLS, N_GENES = 90, 24


def contents() -> ad.AnnData:
    rng = np.random.default_rng(0)
    group = np.arange(N_CELLS) % 3
    rates = np.where(np.arange(N_GENES) % 3 == group[:, None], 4.0, 0.5)
    counts = sparse.csr_matrix(rng.poisson(rates).astype(np.float32))
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical.from_codes(group, ["B", "NK/T", "T cell"]),
            "donor": np.array(["d1", "d2"], dtype=object)[rng.integers(0, 2, N_CELLS)],
            "some": pd.Categorical.from_codes(group - 1, ["x", "y"]),  # a third is missing
            "number": pd.array(np.where(group == 0, None, group), dtype="Int64"),
            "flag": group == 1,
        },
        index=[f"cell{i}" for i in range(N_CELLS)],
    )
    var = pd.DataFrame({"length": np.arange(N_GENES)}, index=[f"GENE{i}" for i in range(N_GENES)])
    cells = ad.AnnData(counts, obs=obs, var=var, uns={"note": "kept", "nested": {"values": np.arange(3)}})
    cells.raw = cells.copy()
    cells.layers["by_genes"] = counts.tocsc()
    cells.layers["dense"] = counts.toarray()
    cells.X = cells.X * np.float32(0.5)
    cells.varm["loadings"] = np.arange(2.0 * N_GENES).reshape(-1, 2)
    return cells


def write(folder: Path, version: str) -> None:
    """One h5ad file and one zarr store, packed as a zip file."""
    contents().write_h5ad(folder / f"{version}.h5ad", compression="gzip")
    store = folder / f"{version}.zarr"
    contents().write_zarr(store)
    shutil.make_archive(str(store), "zip", store)
    shutil.rmtree(store)


if __name__ == "__main__":
    write(Path(__file__).parent, ".".join(ad.__version__.split(".")[:2]))
