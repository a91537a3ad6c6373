"""Platforms: every number has a source, fills a limit that was left open, and says so where it cannot."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from scipy import sparse

import smash_gpu as smg
from smash_gpu.errors import NotFoundError
from smash_gpu.panel import Request, platforms
from smash_gpu.panel.fitting import OPEN, fitted

NAMES = ("xenium_v1", "xenium_prime", "merscope", "merfish", "cosmx", "seqfish", "scrinshot", "iss")
LIMITS = """
[mine]
title = "our microscope"
max_transcripts = 30
max_counts = [0, 12.5]
min_transcript_length = {value = 700, source = "test of 2025"}
"""


@pytest.fixture
def own(tmp_path):
    def write(text):
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        return tmp_path / "mine.toml"

    return write


def use(adata, key="smash_panel"):
    return smg.get.panel_table(adata, "platform", key=key).set_index("quantity")["used"]


def test_the_platforms_of_the_documentation_are_there_in_this_order():
    assert tuple(smg.platforms()["platform"].unique()) == NAMES


def test_every_number_in_the_file_of_the_package_has_a_source_and_an_address():
    for name, table in tomllib.loads(platforms.FILE.read_text(encoding="utf-8")).items():
        for key, entry in table.items():
            if key != "title":
                assert len(entry["source"]) > 20, (name, key)
                assert entry["url"].startswith("https://"), (name, key)
    assert (smg.platforms()["source"].str.len() > 20).all()
    assert smg.platforms()["url"].str.startswith("https://").all()


@pytest.mark.parametrize(
    ("name", "shortest"),
    [("merscope", 30 * 30), ("merfish", 50 * 30), ("seqfish", 24 * 30), ("scrinshot", 3 * 40), ("iss", 3 * 40)],
)
def test_the_shortest_transcript_has_room_for_the_fewest_probes(name, shortest):
    assert platforms.platform_of(name).numbers["min_transcript_length"].ends == (shortest, np.inf)


@pytest.mark.parametrize("name", NAMES)
def test_what_no_source_gives_stays_open_and_is_named(name):
    request, table = fitted(platforms.platform_of(name), Request(), ["transcript_length", "expression_q99"])
    assert request.max_transcripts is None
    assert "no public limit on transcripts per cell; give max_transcripts=" in table["used"].to_list()
    given = {*platforms.platform_of(name).numbers}
    assert {*table["quantity"]} == given | {key for key in OPEN if key not in given}


def test_a_platform_fills_the_limits_that_are_open(adata, own):
    adata.var["transcript_length"] = np.where(np.arange(adata.n_vars) % 2, 500, 900)
    smg.tl.panel(adata, "cell_type", n_genes=5, platform=own(LIMITS))
    genes, caps = smg.get.panel_table(adata), smg.get.panel_table(adata, "caps")
    assert (adata.var.loc[genes["name"], "transcript_length"] >= 700).all()
    assert (genes["max_counts"] <= 12.5).all()
    assert set(caps["limit"]) == {30}
    assert not use(adata)[["max_transcripts", "max_counts", "min_transcript_length"]].str.startswith("not").any()
    source = smg.get.panel_table(adata, "platform").set_index("quantity")["source"]
    assert source["min_transcript_length"] == "test of 2025"
    assert source["max_transcripts"].endswith("mine.toml")


def test_what_the_user_passes_wins(adata, own):
    adata.var["transcript_length"] = 100.0
    mine = {"max_transcripts": 55.0, "max_counts": (None, 40.0), "limits": {"transcript_length": (50, None)}}
    smg.tl.panel(adata, "cell_type", n_genes=5, platform=own(LIMITS), key="with", **mine)
    smg.tl.panel(adata, "cell_type", n_genes=5, key="without", **mine)
    assert smg.get.panel(adata, key="with") == smg.get.panel(adata, key="without")
    assert use(adata, "with")["max_transcripts"] == "yours: max_transcripts=55.0"
    assert use(adata, "with")["max_counts"] == "yours: max_counts=(None, 40)"
    assert use(adata, "with")["min_transcript_length"] == "yours: limits={'transcript_length': (50, None)}"


def test_probe_sets_are_a_decision_under_a_cap(adata):
    smg.tl.panel(adata, "cell_type", n_genes=5, platform="xenium_v1")
    assert use(adata)["probe_sets"] == "a decision for each gene only under a cap; give max_transcripts="
    assert "probe_sets" not in smg.get.panel_table(adata)
    whole = smg.get.panel_table(adata, "crowding")["transcripts"].max()
    smg.tl.panel(adata, "cell_type", n_genes=5, platform="xenium_v1", max_transcripts=whole / 2)
    assert use(adata)["probe_sets"] == "probe_sets=(1, 8)"
    assert smg.get.panel_table(adata)["probe_sets"].between(1, 8).all()
    caps, crowding = smg.get.panel_table(adata, "caps"), smg.get.panel_table(adata, "crowding")
    np.testing.assert_allclose(crowding["transcripts"], caps["used"])
    assert (crowding["transcripts"] <= whole / 2 * (1 + 1e-9)).all()
    smg.tl.panel(adata, "cell_type", n_genes=5, platform="xenium_v1", max_transcripts=whole / 2, probe_sets=(2, 3))
    assert use(adata)["probe_sets"] == "yours: probe_sets=(2, 3)"


def test_what_the_data_lack_is_said_and_changes_nothing(adata):
    smg.tl.panel(adata, "cell_type", n_genes=5, platform="merscope")
    assert "no column 'transcript_length'" in use(adata)["min_transcript_length"]
    smg.tl.panel(adata, "cell_type", n_genes=5, key="without")
    assert smg.get.panel(adata) == smg.get.panel(adata, key="without")


def test_counts_that_the_data_lack_are_said(adata, own):
    adata.X = sparse.csr_matrix(np.log1p(adata.X.toarray() / 7))
    smg.tl.panel(adata, "cell_type", n_genes=5, platform=own(LIMITS), normalize=False)
    assert use(adata)["max_counts"].startswith("not applied: it is in counts, but")
    smg.tl.panel(adata, "cell_type", n_genes=5, platform="scrinshot", normalize=False)
    assert use(adata)["expression_q99"].startswith("not applied: it is in counts, but")


def test_a_column_with_another_name(adata):
    adata.var["bases"] = np.where(np.arange(adata.n_vars) % 2, 500, 2000)
    smg.tl.panel(adata, "cell_type", n_genes=5, platform="merscope", length_key="bases")
    assert set(adata.var.loc[smg.get.panel(adata), "bases"]) == {2000}
    with pytest.raises(NotFoundError, match="Did you mean 'bases'"):
        smg.tl.panel(adata, "cell_type", n_genes=5, platform="merscope", length_key="basis")


def test_a_panel_that_is_too_large_for_the_platform_is_a_warning(adata, own):
    mine = own("[mine]\nn_genes = [2, 8]\nn_added = [1, 3]")
    cannot = "this panel cannot be ordered:"
    with pytest.warns(UserWarning, match=rf"{cannot} 9 genes of the whole panel, and mine takes 2 to 8 .*n_genes=8\."):
        smg.tl.panel(adata, "cell_type", n_genes=9, platform=mine)
    assert use(adata)["n_genes"] == "this panel: 9, too many" and use(adata)["n_added"] == "there is no printed panel"
    with pytest.warns(UserWarning, match=rf"{cannot} 4 genes added to a printed panel, .* 1 to 3 .*n_genes=3\."):
        smg.tl.panel(adata, "cell_type", n_genes=4, extend=["NOISE30"], platform=mine)
    assert use(adata)["n_added"] == "this panel: 4, too many" and use(adata)["n_genes"] == "this panel: 5"
    with pytest.warns(UserWarning, match=rf"{cannot} 10 genes of the whole panel, .* 2 to 8 .*n_genes=1\."):
        smg.tl.panel(adata, "cell_type", n_genes=3, extend=[f"NOISE{n}" for n in range(30, 37)], platform=mine)
    with pytest.warns(UserWarning, match=rf"{cannot} 1 genes of the whole panel, .* 2 to 8 .*n_genes=2\."):
        smg.tl.panel(adata, "cell_type", n_genes=1, platform=mine)
    assert use(adata)["n_genes"] == "this panel: 1, too few"


def test_the_platform_is_stored_and_survives_a_file(adata, tmp_path):
    smg.tl.panel(adata, "cell_type", n_genes=5, platform="xenium_v1")
    assert adata.uns["smash_panel"]["params"]["panel"]["platform"] == "xenium_v1"
    adata.write_h5ad(tmp_path / "cells.h5ad")
    found = smg.get.panel_table(smg.read(tmp_path / "cells.h5ad"), "platform")
    assert found["used"].to_list() == smg.get.panel_table(adata, "platform")["used"].to_list()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mine]\nmax_transcript = 3", r"\[mine\]: 'max_transcript' is not known. Did you mean 'max_transcripts'"),
        ("[mine]\nmax_counts = {value = 3, sauce = 'us'}", r"max_counts: 'sauce' is not known. Did you mean 'source'"),
        ("[mine]\nmax_counts = {value = 3}", "max_counts: source = … is missing"),
        ("[mine]\nmax_counts = [5, 3]", r"value = \[5, 3\] must be a number from 0 on, or a range"),
        ("[mine]\nprobe_sets = [0, 8]", r"value = \[0, 8\]; a number of probe sets is whole and at least 1"),
        ("[mine]\nprobe_sets = 2.5", r"probe_sets: value = 2.5; a number of probe sets is whole and at least 1"),
        ("[mine]\nmax_counts = true", "value = True must be a number"),
        ("[mine]\nmax_counts = {source = 'us'}", "value = None must be a number"),
        ("max_counts = 3", r"'max_counts' is not a table of numbers. Put it into a table"),
        ("[mine", "is not a TOML file"),
        ("", "must hold one platform"),
        ("[a]\nprobes = 3\n[b]\nprobes = 3", r"must hold one platform.*it holds a, b"),
    ],
)
def test_a_file_with_a_fault_is_refused_with_the_place(adata, own, text, said):
    with pytest.raises(ValueError, match=said):
        smg.tl.panel(adata, "cell_type", n_genes=5, platform=own(text))


def test_a_platform_that_is_not_known(adata, tmp_path):
    with pytest.raises(ValueError, match=r"Did you mean 'xenium_v1'.*ends in \.toml"):
        smg.tl.panel(adata, "cell_type", n_genes=5, platform="xenium_v2")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.toml"):
        smg.tl.panel(adata, "cell_type", n_genes=5, platform=str(tmp_path / "none.toml"))


def test_what_no_source_gives_is_asked_for_unless_the_user_gave_it(adata):
    smg.tl.panel(adata, "cell_type", n_genes=4, platform="xenium_v1", max_transcripts=300, max_counts=(None, 30))
    used = smg.get.panel_table(adata, "platform").set_index("what")["used"]
    assert used.filter(like="transcripts per cell").str.endswith("yours: max_transcripts=300").any()
    assert used.str.endswith("yours: max_counts=(None, 30)").any()
    assert not used.str.contains("give max_transcripts=|give max_counts=", regex=True).any()
