"""Genes, columns and labels that differ between files are named."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from cases.files import assert_same, split, stats, with_everything
from scipy import sparse

from smash_gpu.io import concat

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Writing zarr v2", "ignore:zarr v3 autosharding", "ignore:the matrix is stored by"
    ),
    pytest.mark.filterwarnings("ignore:Element .* was written without encoding", "ignore:Observation names are not"),
]


def with_other_genes(part, number):
    """The second file lacks ten genes, the third has two of its own."""
    if number == 1:
        return part[:, ~part.var_names.isin([f"NOISE{i}" for i in range(50, 60)])].copy()
    if number == 2:
        own = ad.AnnData(sparse.csr_matrix(np.ones((part.n_obs, 2), dtype=np.float32)), obs=part.obs)
        own.var_names = ["OWN1", "OWN2"]
        return ad.concat([part, own], axis=1, merge="same")
    return part


@pytest.mark.slow
def test_genes_are_joined_by_name_and_what_does_not_match_is_reported(adata, tmp_path, wherever):
    paths = split(adata, tmp_path, change=with_other_genes)
    with pytest.warns(UserWarning, match="the 3 files have 50 genes in common") as told:
        found = concat.open_cells(paths, {})
    (said,) = [str(w.message) for w in told if "in common" in str(w.message)]
    assert "part0: 10 of 60 genes, e.g. NOISE50" in said
    assert "part1" not in said
    assert "part2: 12 of 62 genes" in said
    assert "fewer than half" not in said
    expected = adata[:, :50].copy()
    assert found.var_names.tolist() == expected.var_names.tolist()
    assert found.uns["smash_files"]["left_out"].tolist() == [10, 0, 12]
    assert_same(stats(found), stats(expected))


def renamed(change):
    def of_third(part, number):
        if number == 2:
            part.var["symbol"] = part.var_names.to_numpy()
            part.var_names = change(part.var_names)
        return part

    return of_third


def half(names):
    return [f"OTHER{i}" if i % 3 else name for i, name in enumerate(names)]


REASONS = {
    "versions": (lambda names: names + ".1", r"no genes in common.*part2.*version suffixes.*str\.replace"),
    "case": (lambda names: names.str.title(), r"different species.*part2.*upper and lower case differ.*upper"),
    "dashes": (lambda names: names.str.replace("NOISE", "NOISE-"), r"9 genes in common, fewer than half.*dashes"),
    "Ensembl ids": (
        lambda names: [f"ENSG{i:011d}" for i in range(len(names))],
        r"no genes in common.*part2.*These are Ensembl ids, but those of part0 are symbols.*adata\.var\['symbol'\]",
    ),
    "few": (half, "20 genes in common, fewer than half"),
}


@pytest.mark.parametrize(("change", "message"), REASONS.values(), ids=REASONS)
def test_why_genes_do_not_match_is_reported_with_the_way_out(adata, tmp_path, change, message):
    paths = split(adata, tmp_path, change=renamed(change))
    if "fewer" in message:
        with pytest.warns(UserWarning, match=f"(?s){message}"):
            concat.open_cells(paths, {})
    else:
        with pytest.raises(ValueError, match=f"(?s){message}"):
            concat.open_cells(paths, {})


def test_a_mixture_of_species_is_an_error(adata, tmp_path):
    paths = split(adata, tmp_path, change=renamed(lambda names: [f"Gene{i}" for i in range(len(names))]))
    with pytest.raises(ValueError, match="different species, part0 human, part1 human, part2 mouse"):
        concat.open_cells(paths, {})


def without(what):
    def change(part, number):
        if number == 1:
            if what == "column":
                del part.obs["cell_type"]
            elif what == "layer":
                del part.layers["counts"]
            elif what == "raw":
                del part.raw
            elif what == "X":
                part.X = None
            elif what == "names":
                part.var_names = ["MARKER0X", "MARKER0X", *part.var_names[2:]]
        return part

    return change


LACKING = {
    "column": ({"groupby": "cell_type"}, KeyError, "part1: obs has no column 'cell_type'.*Columns: sample"),
    "layer": ({"layer": "counts"}, KeyError, "part1 has no layer 'counts'.*Layers: none"),
    "raw": ({"use_raw": True}, ValueError, "part1 has no raw, but use_raw=True"),
    "X": ({}, ValueError, r"part1 has no X; pass layer= \(layers: counts\)"),
    "names": ({}, ValueError, "part1: gene names occur more than once.*MARKER0X.*var_names_make_unique"),
}


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(("what", "case"), LACKING.items(), ids=LACKING)
def test_what_one_file_lacks_is_reported_with_its_name(adata, tmp_path, what, case):
    source, kind, message = case
    paths = split(with_everything(adata), tmp_path, change=without(what))
    with pytest.raises(kind, match=message):
        concat.open_cells(paths, source)


def test_labels_that_differ_in_case_or_spaces_only_are_pointed_out(adata, tmp_path):
    def change(part, number):
        other = {"B / b": " b  /_B", "A": "a"} if number == 2 else {}
        part.obs["cell_type"] = part.obs["cell_type"].astype(str).replace(other)
        return part

    with pytest.warns(
        UserWarning, match=r"'cell_type' .*'B / b' \(part0\) and ' b  /_B' \(part2\); 'A' \(part0\) and 'a' \(part2\)"
    ):
        concat.open_cells(split(adata, tmp_path, change=change), {"groupby": "cell_type"})
