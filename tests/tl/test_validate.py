"""A list of genes before it is ordered: every check can fail, and passes where nothing is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import smash_gpu as smg
from smash_gpu.errors import NotFoundError
from smash_gpu.genes.tables import Gene

GOOD = ["MARKER0X", "MARKER1X", "MARKER2X", "NOISE30"]


def checks(adata, genes=GOOD, **options):
    smg.tl.validate(adata, "cell_type", genes=genes, **options)
    return smg.get.validation(adata)


def verdict(adata, check, genes=GOOD, **options):
    """The verdicts of one check, the sentence and the genes of the last."""
    found = checks(adata, genes, **options)
    found = found[found["check"] == check]
    return set(found["verdict"]), *found.iloc[-1][["detail", "genes"]]


@pytest.fixture
def with_ids(adata):
    adata.var["gene_ids"] = [f"ENSG{number:011d}" for number in range(adata.n_vars)]
    return adata


def test_a_good_list_fails_nothing(with_ids):
    found = checks(with_ids, platform="xenium_v1", max_transcripts=1000, unavailable=["NOISE50"])
    assert set(found["verdict"]) == {"pass", "not checked"}
    assert found.loc[found["verdict"] == "not checked", "check"].tolist() == ["Ensembl ids"]


def test_genes_that_the_reference_lacks_fail_with_near_names(adata):
    found, detail, genes = verdict(adata, "names", ["Marker0X", "MARKER1X", "GFP"])
    assert found == {"fail"}
    assert "did you mean MARKER0X?" in detail
    assert genes == "Marker0X, GFP"
    assert verdict(adata, "names", ["MARKER1X", "GFP"], missing="warn")[0] == {"warn"}


def test_a_gene_listed_twice_fails_also_by_id_and_symbol(with_ids):
    with_ids.var["symbol"] = [f"S{number}" for number in range(with_ids.n_vars)]
    id_of, symbol_of = with_ids.var.loc["MARKER0X", "gene_ids"], with_ids.var.loc["MARKER0X", "symbol"]
    for again in ("MARKER0X", id_of, symbol_of):
        found, detail, genes = verdict(with_ids, "duplicates", [*GOOD, again], gene_symbols="symbol")
        assert (found, genes) == ({"fail"}, "MARKER0X")
        assert f"MARKER0X = {again}" in detail
    assert verdict(with_ids, "duplicates", gene_symbols="symbol")[0] == {"pass"}


def test_a_gene_of_the_printed_panel_fails(adata):
    found, _, genes = verdict(adata, "duplicates", extend=["NOISE30", "NOISE31"])
    assert (found, genes) == ({"pass", "fail"}, "NOISE30")


def test_families_are_a_warning(adata):
    adata.var_names = ["MT-CO1", "RPS6", *adata.var_names[2:]]
    found = checks(adata, ["MT-CO1", "RPS6", "NOISE30"])
    families = found[found["check"] == "gene families"]
    assert families["genes"].tolist() == ["MT-CO1", "RPS6"]
    assert set(families["verdict"]) == {"warn"}
    assert verdict(adata, "gene families", ["RPS6"], exclude_families=["mitochondrial"])[0] == {"pass"}
    assert verdict(adata, "gene families", ["NOISE30", "RPL3"], missing="warn")[::2] == ({"warn"}, "RPL3")
    assert verdict(adata, "gene families", ["RPS6"], exclude_families=[])[0] == {"not checked"}
    adata.var_names = ["HLA-A", *adata.var_names[1:]]
    assert "HLA genes separate" in verdict(adata, "gene families", ["HLA-A"], exclude_families=["hla"])[1]


def test_crowding_says_how_many_genes_it_does_not_count(adata):
    with pytest.warns(UserWarning, match="on the slide but not in the data"):
        found, detail, _ = verdict(adata, "crowding", max_transcripts=1000, extend=["PROBE7", "NOISE31"])
    assert found == {"warn"}
    assert "1 gene that the reference lacks is not counted" in detail


def test_the_transcripts_that_are_said_are_a_limit_that_is_kept(adata):
    said = verdict(adata, "crowding")[1].partition("(")[2].split()[0].replace(",", "")
    assert verdict(adata, "crowding", max_transcripts=float(said))[0] == {"pass"}
    assert "." in said and len(said) <= 5


def test_genes_without_probes_fail(with_ids, tmp_path):
    (tmp_path / "none.csv").write_text("gene_id,gene_name\n" + with_ids.var.loc["NOISE30", "gene_ids"] + ",OTHER\n")
    assert verdict(with_ids, "availability", unavailable=["MARKER1X"])[::2] == ({"fail"}, "MARKER1X")
    assert verdict(with_ids, "availability")[0] == {"not checked"}
    named = [Gene(name, with_ids.var.loc[name, "gene_ids"]) for name in GOOD]
    assert verdict(with_ids, "availability", named, unavailable=tmp_path / "none.csv")[::2] == ({"fail"}, "NOISE30")


def test_genes_without_probes_are_found_by_what_the_reference_calls_them(with_ids):
    """A list of names and a vendor's list of ids, or the other way round, name the same genes."""
    with_ids.var["symbol"] = [f"S{number}" for number in range(with_ids.n_vars)]
    calls = [*with_ids.var.loc["NOISE30", ["gene_ids", "symbol"]], "NOISE30"]
    for gene in calls:
        for gone in calls:
            found = verdict(with_ids, "availability", [*GOOD[:3], gene], unavailable=[gone], gene_symbols="symbol")
            assert found[::2] == ({"fail"}, gene)
    assert verdict(with_ids, "availability", GOOD[:3], unavailable=calls, gene_symbols="symbol")[0] == {"pass"}


def test_the_size_of_the_panel(adata, tmp_path):
    (tmp_path / "small.toml").write_text("[small]\nn_genes = [1, 4]\nn_added = [1, 3]")
    assert verdict(adata, "number of genes", platform=tmp_path / "small.toml")[0] == {"pass"}
    assert verdict(adata, "number of genes", [*GOOD, "NOISE31"], platform=tmp_path / "small.toml")[0] == {"fail"}
    assert verdict(adata, "number of genes", extend=["NOISE33"], platform=tmp_path / "small.toml")[0] == {"fail"}
    assert verdict(adata, "number of genes", extend=[GOOD[0]], platform=tmp_path / "small.toml")[0] == {"pass"}
    absent = ["NOT_IN_THE_DATA"]  # on the slide all the same
    assert verdict(adata, "number of genes", extend=absent, platform=tmp_path / "small.toml")[0] == {"fail"}
    assert verdict(adata, "number of genes", platform="cosmx")[0] == {"not checked"}


def test_genes_of_the_printed_panel_that_the_data_lack_count_for_its_size(adata, tmp_path):
    (tmp_path / "small.toml").write_text("[small]\nn_genes = [1, 4]\nn_added = [1, 4]")
    small = {"platform": tmp_path / "small.toml", "extend": ["PROBE7"]}
    with pytest.warns(UserWarning, match="extend: 1 of 1 genes are on the slide but not in the data.*: PROBE7"):
        found = checks(adata, **small)
    found = found[found["check"] == "number of genes"]
    assert found["verdict"].tolist() == ["fail", "pass"]
    assert found["detail"].iloc[0].startswith("5 genes of the whole panel")
    with pytest.warns(UserWarning, match="5 genes of the whole panel"):
        smg.tl.panel(adata, "cell_type", n_genes=4, **small)


def test_expression_per_class_against_the_limits(adata):
    means = pd.DataFrame(adata.X.toarray(), columns=adata.var_names).groupby(adata.obs["cell_type"].to_numpy()).mean()
    limit = means[GOOD].max().sort_values().iloc[-2:].mean()
    check = "mean counts per cell in the class with the most"
    found, _, genes = verdict(adata, check, max_counts=(None, limit))
    assert (found, genes) == ({"fail"}, means[GOOD].max().idxmax())
    table = smg.get.validation(adata, "genes").set_index("gene")
    np.testing.assert_allclose(table["max_counts"], means[GOOD].max())
    assert table["max_class"].tolist() == means[GOOD].idxmax().tolist()
    assert table.loc[genes, "faults"] == f"{check}: fail"


def test_a_gene_that_no_cell_expresses_is_a_warning(adata):
    X = adata.X.tolil()
    X[:, adata.var_names.get_loc("NOISE30")] = 0
    adata.X = X.tocsr()
    assert verdict(adata, "expression")[0] == {"warn", "pass"}


def test_crowding_is_the_sum_over_the_list_and_the_printed_panel_in_every_class(adata):
    whole = [*GOOD, "NOISE31"]
    sums = pd.DataFrame(adata[:, whole].X.toarray()).groupby(adata.obs["cell_type"].to_numpy()).mean().sum(axis=1)
    cap = float(sums.sort_values().iloc[-2:].mean())
    found, detail, _ = verdict(adata, "crowding", extend=["NOISE31"], max_transcripts=cap)
    assert found == {"fail"}
    assert sums.idxmax() in detail
    assert sums.idxmin() not in detail
    np.testing.assert_allclose(smg.get.validation(adata, "crowding")["transcripts"], sums)
    assert verdict(adata, "crowding", extend=["NOISE31"], max_transcripts=sums.max() + 0.01)[0] == {"pass"}
    assert verdict(adata, "crowding", max_transcripts={"A": 0.1})[0] == {"fail"}
    assert "no public limit on transcripts per cell; give max_transcripts=" in verdict(adata, "crowding")[1]


def test_a_panel_with_fewer_probe_sets_passes_under_its_cap(adata, tmp_path):
    chosen = {"n_genes": 4, "include": GOOD, "platform": "xenium_v1"}
    smg.tl.panel(adata, "cell_type", **chosen)
    cap = 0.6 * smg.get.panel_table(adata, "crowding")["transcripts"].max()
    smg.tl.panel(adata, "cell_type", max_transcripts=cap, **chosen)
    listed = smg.get.panel_table(adata)[["name", "probe_sets"]]
    assert listed["probe_sets"].min() < 8
    assert verdict(adata, "crowding", listed, platform="xenium_v1", max_transcripts=cap)[0] == {"pass"}
    designed, checked = smg.get.panel_table(adata, "crowding"), smg.get.validation(adata, "crowding")
    np.testing.assert_allclose(checked["transcripts"], designed["transcripts"])
    found, detail, _ = verdict(adata, "crowding", listed[["name"]], platform="xenium_v1", max_transcripts=cap)
    assert found == {"fail"}
    assert "4 genes without a number of probe sets count as with the most" in detail


@pytest.mark.parametrize("most", [4, "most"])
def test_the_probe_sets_that_a_panel_was_designed_with_are_those_it_is_checked_with(adata, most):
    adata.var["most"] = np.arange(adata.n_vars) % 3 + 3
    design = {"probe_sets": (2, most), "max_transcripts": 8}
    smg.tl.panel(adata, "cell_type", n_genes=6, platform="xenium_v1", **design)
    listed = smg.get.panel_table(adata)[["name", "probe_sets"]]
    found = checks(adata, listed, platform="xenium_v1", **design).set_index("check")["verdict"]
    assert (found["crowding"], found["probe sets"]) == ("pass", "pass")
    designed, checked = smg.get.panel_table(adata, "crowding"), smg.get.validation(adata, "crowding")
    np.testing.assert_allclose(checked["transcripts"], designed["transcripts"])
    more = listed.assign(probe_sets=6)
    assert verdict(adata, "probe sets", more, platform="xenium_v1", **design)[0] == {"fail"}


def test_too_crowded_a_list_with_probe_sets_says_that_their_range_was_not_given(adata):
    listed = pd.DataFrame({"name": GOOD, "probe_sets": 2})
    hint = "give platform= or probe_sets="
    assert hint in verdict(adata, "crowding", listed, max_transcripts=0.1)[1]
    assert hint not in verdict(adata, "crowding", listed, max_transcripts=0.1, probe_sets=(1, 4))[1]
    assert hint not in verdict(adata, "crowding", max_transcripts=0.1)[1]


def test_transcript_lengths(adata):
    what = "bases of the shortest transcript"
    assert verdict(adata, what, platform="merscope")[0] == {"not checked"}
    adata.var["transcript_length"] = 2000.0
    adata.var.loc["NOISE30", "transcript_length"] = 899
    assert verdict(adata, "transcript_length", platform="merscope")[::2] == ({"fail"}, "NOISE30")
    adata.var.loc["NOISE30", "transcript_length"] = np.nan
    assert verdict(adata, "transcript_length", platform="merscope")[::2] == ({"warn"}, "NOISE30")


def test_probe_sets_of_a_table(adata, tmp_path):
    (tmp_path / "list.csv").write_text("Gene,Ensembl ID,Probe sets,Force\nMARKER0X,,8,FALSE\nMARKER1X,,9,FALSE\n")
    assert verdict(adata, "probe sets", tmp_path / "list.csv", platform="xenium_v1")[::2] == ({"fail"}, "MARKER1X")
    assert "probe sets" not in set(checks(adata, tmp_path / "list.csv", platform="cosmx")["check"])


def test_background(adata, tmp_path):
    (tmp_path / "dim.toml").write_text("[dim]\nbackground = 1000000")
    assert verdict(adata, "background", platform=tmp_path / "dim.toml")[0] == {"warn"}
    assert verdict(adata, "background", platform="cosmx")[0] == {"pass"}


def test_logarithms_are_not_compared_with_counts(adata):
    adata.X = sparse.csr_matrix(np.log1p(adata.X.toarray() / 7))
    found = checks(adata, normalize=False, max_transcripts=5, platform="scrinshot").set_index("check")["verdict"]
    assert found["crowding"] == found["expression"] == "not checked"
    assert smg.get.validation(adata, "crowding")["transcripts"].isna().all()


def test_lists_that_cannot_be_checked_are_refused(adata):
    with pytest.raises(TypeError, match="is a string"):
        checks(adata, "MARKER0X")
    with pytest.raises(ValueError, match="missing='drop' is not one of"):
        checks(adata, missing="drop")
    with pytest.raises(NotFoundError, match="no class"):
        checks(adata, max_transcripts={"Z": 3})


def test_a_list_without_any_gene_of_the_reference_fails(adata):
    assert verdict(adata, "names", ["X1", None, "X2"])[0] == {"warn", "fail"}
    assert len(smg.get.validation(adata, "genes")) == 2


def test_results_survive_a_file_and_tell_when_the_data_changed(adata, tmp_path):
    checks(adata, platform="xenium_v1", max_transcripts={"CD4+ T": 50})
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = smg.read(tmp_path / "cells.h5ad")
    assert smg.get.validation(again)["detail"].tolist() == smg.get.validation(adata)["detail"].tolist()
    again.obs["cell_type"] = again.obs["cell_type"].cat.rename_categories({"A": "a"})
    with pytest.warns(UserWarning, match="Run tl.validate again"):
        smg.get.validation(again)
