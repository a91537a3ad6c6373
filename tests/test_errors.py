"""Errors print their sentence; warnings point at the line that called the package."""

import ast
import pickle
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import smash_gpu as smg
from smash_gpu.errors import NotFoundError
from smash_gpu.io.read import read

PACKAGE = Path(smg.__file__).parent


def here(warned):
    """The lines of this file that our warnings point at; libraries warn each other of what will change."""
    ours = [w for w in warned if not issubclass(w.category, DeprecationWarning)]
    assert {Path(w.filename) for w in ours} == {Path(__file__)}
    return [Path(__file__).read_text().splitlines()[w.lineno - 1].strip() for w in ours]


def test_an_error_about_a_name_prints_its_sentence():
    adata = smg.datasets.planted()
    with pytest.raises(KeyError) as caught:
        smg.pp.filter_genes(adata, "cell_typ")
    assert str(caught.value).startswith("adata.obs has no column 'cell_typ'. Did you mean 'cell_type'?")
    assert str(NotFoundError()) == ""
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_no_plain_key_error_is_raised():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                assert ast.unparse(node.exc.func) != "KeyError", f"{path}:{node.lineno}"


def test_warnings_are_given_in_one_place():
    for path in PACKAGE.rglob("*.py"):
        if path.name != "errors.py":
            assert "warnings.warn" not in path.read_text(), path


def without_a_label(adata):
    adata.obs.loc[adata.obs_names[:7], "cell_type"] = np.nan
    return adata


CALLS = {
    "read deep inside": lambda: smg.pp.filter_genes(without_a_label(smg.datasets.planted()), "cell_type"),
    "selection": lambda: smg.tl.smash(smg.datasets.planted(), "cell_type", n_top=40, filters={"families": ()}),
    "model": lambda: smg.tl.importance(smg.datasets.planted(), "cell_type", max_cells=50),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_warning_points_at_the_line_of_the_user(name):
    call = CALLS[name]
    with pytest.warns(UserWarning) as warned:
        call()
    assert all(line.startswith(f'"{name}"') for line in here(warned))


def test_a_warning_of_reading_files_points_at_the_line_of_the_user(tmp_path):
    for number, genes in enumerate((slice(50), slice(10, 60))):
        smg.datasets.planted()[:, genes].copy().write_h5ad(tmp_path / f"{number}.h5ad")
    with pytest.warns(UserWarning, match="in common") as warned:
        found = read(tmp_path / "*.h5ad")
    assert set(here(warned)) == {'found = read(tmp_path / "*.h5ad")'}
    assert isinstance(found, ad.AnnData)


def test_a_warning_inside_a_users_function_points_at_the_users_file():
    adata = smg.datasets.planted()

    def choose(cells, n_genes):
        smg.tl.smash(without_a_label(cells.to_memory()), "cell_type", filters={"families": ()})
        return smg.get.marker_panel(cells, n_genes) if "smash" in cells.uns else list(cells.var_names[:n_genes])

    with pytest.warns(UserWarning, match="no label") as warned:
        smg.tl.evaluate(adata, "cell_type", genes=choose, n_genes=3, n_splits=1)
    assert any("smg.tl.evaluate" in line for line in here(warned))


def test_a_filter_for_a_module_silences_its_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=__name__.replace(".", r"\."))
        CALLS["read deep inside"]()


def test_an_infeasible_panel_keeps_its_certificate_on_the_way_to_another_process():
    adata = smg.datasets.planted()
    with pytest.raises(smg.errors.InfeasibleError) as caught:
        smg.tl.panel(adata, "cell_type", n_genes=10, exclude=adata.var_names[5:])
    back = pickle.loads(pickle.dumps(caught.value))
    assert str(back) == str(caught.value)
    assert back.certificate.equals(caught.value.certificate)


def test_a_sentence_is_said_once_in_a_call_however_often_a_library_changes_the_filters():
    """`tl.evaluate` selects in every split; what the selection has to say is the same there."""
    adata = smg.datasets.planted()
    options = {"model_options": {"n_estimators": 5}, "n_top": 2}
    for _ in range(2):  # and again in the next call
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            smg.tl.smash(adata, "cell_type", max_cells=100, **options)
            smg.tl.evaluate(adata, "cell_type", n_genes=4, n_splits=3)
        said = [str(w.message) for w in warned if "trained on 100 of" in str(w.message)]
        assert len(said) == len(set(said)) == 2
