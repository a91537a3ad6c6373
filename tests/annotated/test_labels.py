"""Labels as people have them: lists, twice, numbers, missing values made into text, lazy."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.steps import assert_untouched, filter_genes, results, smash

import smash_gpu as smg

SEVERAL = {
    "lists": lambda label: [label],
    "arrays": lambda label: np.array([label]),
    "tuples": lambda label: (label,),
    "sets": lambda label: {label},
    "mappings": lambda label: {"label": label},
}


def panel(adata, column, **options):
    smg.tl.panel(adata, column, n_genes=3, **options)


STEPS = {
    "tl.smash": smash,
    "pp.filter_genes": filter_genes,
    "tl.panel": panel,
    "tl.panel, a second column": lambda adata, column: panel(adata, ["cell_type", column]),
    "within": lambda adata, column: smash(adata, within=column),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("wrap", SEVERAL.values(), ids=SEVERAL)
def test_labels_that_hold_several_values_are_named_with_the_way_out(adata, wrap, step):
    adata.obs["label"] = pd.Series([wrap(label) for label in adata.obs["cell_type"].astype(str)], index=adata.obs_names)
    with pytest.raises(ValueError, match=r"adata\.obs\['label'\] holds values of type .*, such as .*\.str\[0\]"):
        step(adata, "label")


def test_samples_and_symbols_that_are_lists_are_named(adata):
    adata.obs["s"] = [[label] for label in adata.obs["sample"]]
    with pytest.raises(ValueError, match=r"adata\.obs\['s'\] holds values of type list"):
        smash(adata, sample_key="s")
    adata.var["symbol"] = [[name] for name in adata.var_names]
    with pytest.raises(ValueError, match=r"adata\.var\['symbol'\] holds values of type list.*one per gene"):
        smash(adata, gene_symbols="symbol")


def test_the_first_of_each_list_are_labels(adata):
    adata.obs["label"] = [[label] for label in adata.obs["cell_type"].astype(str)]
    adata.obs["label"] = adata.obs["label"].str[0]
    filter_genes(adata, "label")


@pytest.mark.parametrize("step", [smash, filter_genes, panel])
def test_a_column_that_is_there_twice_is_named_with_the_way_out(adata, step):
    adata.obs = pd.concat([adata.obs, adata.obs], axis=1)
    with pytest.raises(ValueError, match=r"adata\.obs has 2 columns 'cell_type'.*columns\.duplicated\(\)"):
        step(adata, "cell_type")
    adata.obs = adata.obs.loc[:, ~adata.obs.columns.duplicated()]
    filter_genes(adata)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_measurement_is_no_column_of_groups(adata, rng, step):
    for values in (
        rng.integers(0, 10_000, 240),
        rng.random(240),
        pd.array(rng.integers(0, 10_000, 240), dtype="Int64"),
    ):
        adata.obs["n_genes"] = values
        before = adata.copy()
        with pytest.raises(
            ValueError, match=r"adata\.obs\['n_genes'\] holds 2\d\d different numbers, so it seems to be a"
        ):
            step(adata, "n_genes")
        assert_untouched(adata, before)


def test_numbers_of_clusters_are_groups_and_so_are_many_as_text(adata):
    adata.obs["leiden"] = np.arange(240) % 100
    filter_genes(adata, "leiden")
    adata.obs["leiden"] = np.arange(240) % 120
    with pytest.raises(ValueError, match="120 different numbers"):
        filter_genes(adata, "leiden")
    adata.obs["leiden"] = adata.obs["leiden"].astype(str)
    filter_genes(adata, "leiden")


@pytest.mark.parametrize("text", ["nan", "NaN", "None", "NA", "<NA>", "N/A", "NaT", "", "null"])
def test_a_missing_value_made_into_text_is_a_group_with_a_warning(adata, text):
    labels = adata.obs["cell_type"].astype(object).to_numpy(copy=True)
    labels[:60] = text
    adata.obs["label"] = labels
    way_out = rf"60 cells have the label {text!r} in 'label': .*adata\.obs\['label'\] = (.*)$"
    with pytest.warns(UserWarning, match=way_out) as said:
        filter_genes(adata, "label")
    assert len(said) == 1
    adata.obs["label"] = eval(str(said[0].message).rpartition("'label'] = ")[2], {"adata": adata})
    with pytest.warns(UserWarning, match="60 of 240 cells have no label in 'label'"):
        filter_genes(adata, "label")


def test_a_sample_or_broad_group_that_is_text_for_missing_gives_a_warning(adata):
    for column in ("donor", "broad"):
        adata.obs[column] = np.where(np.arange(240) < 60, "nan", "d" + (np.arange(240) % 3).astype(str).astype(object))
    with pytest.warns(UserWarning, match="60 cells have the sample_key 'nan' in 'donor'"):
        filter_genes(adata, sample_key="donor")
    with pytest.warns(UserWarning, match="60 cells have the label 'nan' in 'broad'"):
        smash(adata, within="broad")


def test_a_label_that_is_ignored_gives_no_warning(adata):
    labels = adata.obs["cell_type"].astype(object).to_numpy(copy=True)
    labels[:60] = "nan"
    adata.obs["label"] = labels
    with pytest.warns(UserWarning, match=r"60 cells have the label 'nan' in 'label'.* Or pass ignore=\['nan'\]"):
        panel(adata, "label")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        panel(adata, "label", ignore=["nan"])
        panel(adata, ["cell_type", "label"], ignore=["nan"])


def test_cells_that_are_read_lazily_need_no_change(adata, tmp_path):
    """`anndata.experimental.read_lazy`: tables that are no data frames, of which only some columns are read."""
    pytest.importorskip("xarray")
    pytest.importorskip("dask.array")
    adata.var["symbol"] = [f"S{name}" for name in adata.var_names]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    options = {"sample_key": "sample", "gene_symbols": "symbol"}
    smash(adata, **options)
    lazy = ad.experimental.read_lazy(tmp_path / "cells.h5ad")
    smash(lazy, **options)
    assert not isinstance(lazy.obs, pd.DataFrame)  # stays as it is
    pd.testing.assert_frame_equal(results(lazy), results(adata))
    assert smg.get.marker_panel(lazy, 3) == smg.get.marker_panel(adata, 3)
    panel(lazy, "cell_type", mask_var="smash_candidate", sample_key="sample")
    smg.tl.evaluate(lazy, "cell_type", genes=smg.get.panel(lazy))
    with pytest.raises(KeyError, match=r"obs has no column 'cell_typ'.*Did you mean 'cell_type'"):
        smash(lazy, "cell_typ")
