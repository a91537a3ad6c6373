"""Classes of a reference for the cells of a tissue: by plain loops, and what each option changes."""

from __future__ import annotations

import tracemalloc

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cells import planted
from scipy import sparse
from sklearn.neighbors import KNeighborsClassifier

import smash_gpu as smg
from smash_gpu.annotated import slots
from smash_gpu.errors import NotFoundError
from smash_gpu.evaluation.transfer import ALL

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]
GENES = ["MARKER0X", "NOISE9", "MARKER1X", "NOISE10"]


@pytest.fixture
def tissue(rng):
    """Other cells of the same classes, fewer genes in another order."""
    made = planted(np.random.default_rng(5), n_cells=90)
    names = [name for name in made.var_names if name not in ("NOISE11", "MARKER2Z")]
    return made[:, list(rng.permutation(names))].copy()


def transfer(reference, tissue, genes=GENES, **options):
    smg.tl.transfer(reference, tissue, "cell_type", genes=genes, **{"n_random": 0} | options)
    return smg.get.transfer(tissue)


def logarithms(adata, total=1e4):
    counts = adata.X.toarray().astype(float)
    return pd.DataFrame(np.log1p(total * counts / counts.sum(axis=1, keepdims=True)), columns=adata.var_names)


def scaled(table):
    return np.minimum((table - table.mean()) / table.std(), 10)


def test_labels_by_hand(adata, tissue):
    """Each data set on its own mean and deviation; the tissue's totals are those of the shared genes of the other."""
    shared = [name for name in adata.var_names if name in tissue.var_names]
    of_reference = logarithms(adata)
    total = np.expm1(of_reference[shared]).sum(axis=1).mean()
    assert total < 1e4
    nearest = KNeighborsClassifier(3).fit(scaled(of_reference[GENES]).to_numpy(), adata.obs["cell_type"])
    expected = nearest.predict(scaled(logarithms(tissue, total)[GENES]).to_numpy())
    found = transfer(adata, tissue)
    right = tissue.obs["cell_type"].astype(str) == expected
    assert (tissue.obs["smash_transfer"].astype(str) == expected).mean() > 0.98  # float32 may break a tie elsewhere
    assert found["accuracy"].item() == pytest.approx(right.mean(), abs=0.02)
    assert 0.4 < right.mean() < 1
    cells = smg.get.transfer(tissue, "cells")
    assert cells["error"].mean() == pytest.approx(1 - found["accuracy"].item())


def test_metrics_groups_and_confusion_are_of_the_cells(adata, tissue):
    metrics = transfer(adata, tissue, {"a": GENES, "b": MARKERS[:4]}, n_genes=[2, 4], classifier=["knn", "logreg"])
    assert len(metrics) == 8
    for row in metrics.itertuples():
        case = {"genes": row.genes, "n_genes": row.n_genes, "classifier": row.classifier}
        cells = smg.get.transfer(tissue, "cells", **case)
        counts = pd.crosstab(cells["true"], cells["predicted"], dropna=False)
        np.testing.assert_array_equal(smg.get.transfer(tissue, "confusion", **case), counts)
        groups = smg.get.transfer(tissue, "groups", **case)
        assert groups["recall"].mean() == pytest.approx(row.balanced_accuracy)
        assert groups["cells"].sum() == len(tissue)


def test_the_ceiling_is_the_list_of_all_shared_genes(adata, tissue):
    shared = [name for name in adata.var_names if name in tissue.var_names]
    found = transfer(adata, tissue, {"every": shared, "few": GENES}, n_random=3).set_index("genes")
    assert found.loc["every", "balanced_accuracy"] == found.loc["every", "ceiling"]
    few, chance = found.loc["few"], smg.get.transfer(tissue, "cases").query("genes == 'few' and random > 0")
    assert len(chance) == 3
    assert few["random"] == pytest.approx(chance["balanced_accuracy"].mean())
    gap = few["ceiling"] - few["random"]
    assert few["relative"] == pytest.approx((few["balanced_accuracy"] - few["random"]) / gap)
    assert smg.get.transfer(tissue, "panels")["genes"].unique().tolist() == ["every", "few"]


def test_a_factor_and_a_shift_per_gene_change_nothing(adata, tissue):
    """What a platform does to a gene as a whole goes with the z-scores."""
    tissue.layers["log"] = logarithms(tissue).to_numpy(np.float32)
    transfer(adata, tissue, tissue_layer="log", tissue_normalize=False)
    before = tissue.obs["smash_transfer"].copy()
    factor = 2.0 ** np.random.default_rng(0).integers(-2, 2, tissue.n_vars)
    tissue.layers["log"] = (tissue.layers["log"] * factor).astype(np.float32)
    transfer(adata, tissue, tissue_layer="log", tissue_normalize=False)
    assert tissue.obs["smash_transfer"].tolist() == before.tolist()


def test_the_order_of_genes_and_cells_changes_nothing(adata, tissue, rng):
    transfer(adata, tissue, n_random=2)
    other = tissue[rng.permutation(len(tissue)), rng.permutation(tissue.n_vars)].copy()
    transfer(adata[:, rng.permutation(adata.n_vars)].copy(), other, n_random=2)
    pd.testing.assert_series_equal(other.obs["smash_transfer"].loc[tissue.obs_names], tissue.obs["smash_transfer"])
    first, second = (smg.get.transfer(one, "cases") for one in (tissue, other))
    pd.testing.assert_frame_equal(first, second)


def test_functions_and_selections_see_shared_genes_only(adata, tissue):
    seen = []

    def choose(cells, n_genes):
        seen.append(set(cells.var_names))
        smg.tl.panel(cells := cells.copy(), "cell_type", n_genes=n_genes, nested=True)
        return smg.get.panel(cells)

    smg.tl.smash(adata, "cell_type", model_options={"n_estimators": 10})
    transfer(adata, tissue, {"panel": choose, "smash": None}, n_genes=5)
    assert seen == [set(adata.var_names) & set(tissue.var_names)]
    panels = smg.get.transfer(tissue, "panels")
    assert panels.groupby("genes").size().to_dict() == {"panel": 5, "smash": 5}
    assert set(panels["name"]) <= set(tissue.var_names)


def test_genes_that_the_tissue_lacks_are_named(adata, tissue):
    with pytest.warns(UserWarning, match="2 of 3 genes left out.*NOISE11, MARKER2Z"):
        found = transfer(adata, tissue, ["NOISE11", "MARKER0X", "MARKER2Z"])
    assert found["n_used"].tolist() == [1]
    with pytest.raises(NotFoundError, match="NOISE11"):
        transfer(adata, tissue, ["NOISE11", "MARKER0X"], missing="raise")


def test_genes_are_found_by_symbol_and_id(adata, tissue):
    transfer(adata, tissue)
    before = tissue.obs["smash_transfer"].tolist()
    tissue.var["symbol"] = tissue.var_names.to_numpy()
    tissue.var_names = [f"probe{number}" for number in range(tissue.n_vars)]
    with pytest.raises(NotFoundError, match="genes not in the data"):
        transfer(adata, tissue)
    transfer(adata, tissue, tissue_gene_symbols="symbol")
    assert tissue.obs["smash_transfer"].tolist() == before
    ids = {name: f"ENSG{number:011d}" for number, name in enumerate(adata.var_names)}
    adata.var["gene_ids"] = list(ids.values())
    tissue.var["gene_ids"] = [f"{ids[symbol]}.2" for symbol in tissue.var["symbol"]]
    transfer(adata, tissue)
    assert tissue.obs["smash_transfer"].tolist() == before


def test_common_classes(adata, tissue):
    tissue.obs["kind"] = tissue.obs["cell_type"].astype(str).replace({"A": "a cell", "CD4+ T": "unknown"})
    tissue.obs.loc[tissue.obs_names[:7], "kind"] = None
    with pytest.warns(UserWarning, match=r"cells are not judged, because the reference has no such class: unknown"):
        transfer(
            adata, tissue, mapping={"A": "first", "B / b": "rest", "CD4+ T": "rest"}, tissue_groupby="kind",
            tissue_mapping={"a cell": "first", "B / b": "rest"},
        )  # fmt: skip
    cells = smg.get.transfer(tissue, "cells")
    assert cells["true"].cat.categories.tolist() == cells["predicted"].cat.categories.tolist() == ["first", "rest"]
    out = (tissue.obs["kind"] == "unknown") | tissue.obs["kind"].isna()
    assert cells["true"].isna().tolist() == cells["error"].isna().tolist() == out.tolist()
    assert smg.get.transfer(tissue, "confusion").to_numpy().sum() == (~out).sum()
    assert not cells["predicted"].isna().any()


def test_everything_survives_a_file(adata, tissue, tmp_path):
    transfer(adata, tissue, {"a/b": GENES, "c": MARKERS[:2]}, mapping={"B / b": "B/b"}, tissue_mapping={"B / b": "B/b"})
    tissue.write_h5ad(tmp_path / "tissue.h5ad")
    again = smg.read(tmp_path / "tissue.h5ad")
    for table in ("metrics", "cases", "groups", "confusion", "panels", "cells"):
        found, expected = smg.get.transfer(again, table), smg.get.transfer(tissue, table)
        np.testing.assert_array_equal(found.to_numpy(dtype=str), expected.to_numpy(dtype=str))
    assert slots.recorded(again, slots.TRANSFER, "transfer")["mapping"] == ("B / b → B/b",)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mapping": {"B / B": "b"}}, NotFoundError, "mapping: 'B / B' is not a label. Did you mean 'B / b'"),
        ({"tissue_mapping": {"D": "A"}}, NotFoundError, "tissue_mapping: 'D' is not a label"),
        ({"mapping": {"A": "x", "B / b": "y", "CD4+ T": "z"}}, ValueError, "no label of 'cell_type' in the tissue"),
        ({"tissue_groupby": "cell_typ"}, NotFoundError, "no column 'cell_typ'"),
        ({"classifier": "svm"}, ValueError, "svm"),
        ({"genes": {ALL: GENES}}, ValueError, "is the name of the ceiling"),
        ({"n_random": -1}, ValueError, "cannot be negative"),
        ({"tissue_normalize": False}, ValueError, "normalize=False is for log-normalised values"),
    ],
)
def test_what_cannot_be_used_is_said(adata, tissue, options, error, message):
    with pytest.raises(error) as found:
        transfer(adata, tissue, **options)
    assert message in str(found.value)


def test_tables_and_cases_that_are_not_there(adata, tissue):
    with pytest.raises(NotFoundError, match="run tl.transfer first"):
        smg.get.transfer(tissue)
    transfer(adata, tissue)
    with pytest.raises(NotFoundError, match="did you mean|Did you mean"):
        smg.get.transfer(tissue, "group")
    with pytest.raises(NotFoundError, match="no n_genes=7"):
        smg.get.transfer(tissue, "cells", n_genes=7)


def test_changed_labels_are_noticed(adata, tissue):
    transfer(adata, tissue)
    tissue.obs["cell_type"] = tissue.obs["cell_type"].tolist()[::-1]
    with pytest.warns(UserWarning, match="Run tl.transfer again"):
        smg.get.transfer(tissue)


def test_all_measured_genes_are_dense_once_per_data_set(rng):
    """Two dense matrices stay, and less than two more come for a while."""
    shape = 1000, 5000
    both = [
        ad.AnnData(
            sparse.csr_array((rng.random(shape) < 0.02).astype(np.float32)),
            obs=pd.DataFrame({"cell_type": np.resize(["a", "b"], shape[0])}, index=[f"c{i}" for i in range(shape[0])]),
        )
        for _ in range(2)
    ]
    smg.tl.transfer(*(one[:50].copy() for one in both), "cell_type", genes=["1", "2"], n_random=0)  # imports
    tracemalloc.start()
    smg.tl.transfer(*both, "cell_type", genes=["1", "2"], n_random=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * np.prod(shape) * np.dtype(np.float32).itemsize
