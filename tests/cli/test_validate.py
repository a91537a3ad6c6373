"""``smash-gpu validate`` and ``platforms``: exit codes for scripts, an object, a page."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from cases.commands import assert_one_message, written

import smash_gpu as smg

GOOD = ("MARKER0X", "MARKER1X", "NOISE30")


@pytest.fixture
def validate(run, data, tmp_path):
    def call(*genes, options=()):
        listed = written(tmp_path / "list.txt", *genes)
        return run("validate", listed, "--reference", data, "--groupby", "cell_type", *options)

    return call


def test_the_exit_code_says_whether_a_check_failed(validate):
    code, out, _ = validate(*GOOD, options=("--platform", "xenium_v1"))
    assert code == 0
    assert "pass         number of genes: 3 genes of the whole panel; the platform takes 1 to 480" in out
    assert validate(*GOOD, "GFP")[0] == 1
    assert validate(*GOOD, "GFP", options=("--missing", "warn"))[0] == 0
    assert validate(*GOOD, options=("--max-transcripts", 0.5))[0] == 1


def test_the_page_may_be_written_again(validate, tmp_path):
    asked = ("--out", tmp_path / "page.html", "--no-figures")
    assert validate(*GOOD, options=asked)[0] == validate(*GOOD, options=asked)[0] == 0


def test_an_error_of_input_has_its_own_exit_code(validate, run, data, tmp_path):
    assert_one_message(validate(*GOOD, options=("--platform", "xenium")), "xenium_v1", "Did you mean")
    nowhere = run("validate", tmp_path / "none.txt", "--reference", data, "--groupby", "cell_type")
    assert_one_message(nowhere, "none.txt")
    assert_one_message(validate(*GOOD, options=("--max-counts", "a", 3)), "'a' is not a number")
    assert_one_message(validate(*GOOD, options=("--limit", "length", 3, "-")), "no column 'length'")


def test_json_is_one_object_with_the_tables(validate):
    code, out, error = validate(*GOOD, "MARKER0X", options=("--json", "--platform", "xenium_v1"))
    found = json.loads(out)
    assert (code, found["exit_code"]) == (1, 1)
    assert [row["check"] for row in found["checks"] if row["verdict"] == "fail"] == ["duplicates"]
    assert [row["gene"] for row in found["genes"]] == list(GOOD)
    assert len(found["crowding"]) == 3
    assert any("no public limit on transcripts per cell" in row["used"] for row in found["platform"])
    assert any(row["used"].endswith("give --max-transcripts") for row in found["platform"])
    assert any(row["detail"].startswith("give --unavailable") for row in found["checks"])
    assert "duplicates" in error


def test_vendor_lists_and_tables_are_read(validate, tmp_path):
    without = [written(tmp_path / f"{name}.csv", "gene_id,gene_name", f",{name}") for name in ("NOISE30", "NOISE31")]
    code, out, _ = validate(*GOOD, options=("--unavailable", *without))
    assert code == 1
    assert "fail         availability" in out
    lengths = tmp_path / "lengths.csv"
    pd.DataFrame({"gene": GOOD, "bases": (2000, 2000, 100)}).to_csv(lengths, index=False)
    options = ("--gene-table", lengths, "--length-key", "bases", "--platform", "merscope")
    assert "bases: 1 of 3 outside: bases from 900" in validate(*GOOD, options=options)[1]


def test_the_page_holds_the_checks(validate, tmp_path):
    page = tmp_path / "list.html"
    code, out, _ = validate(*GOOD, "GFP", options=("--out", page, "--no-figures", "--title", "Our <b>list</b>"))
    text = page.read_text(encoding="utf-8")
    assert code == 1
    assert f"Written to {page}" in out
    assert "Our &lt;b&gt;list&lt;/b&gt;" in text
    assert "GFP" in text


def test_platforms_are_listed_with_sources(run, tmp_path):
    code, out, _ = run("platforms")
    assert code == 0
    for row in smg.platforms().itertuples():
        assert row.source in out
    mine = tmp_path / "mine.toml"
    mine.write_text("[mine]\nmax_transcripts = 30\n")
    found = json.loads(run("platforms", mine, "--json")[1])["platforms"]["mine"]
    assert [(row["quantity"], row["low"], row["high"]) for row in found] == [("max_transcripts", None, 30)]
    assert_one_message(run("platforms", "xenum"), "xenium_v1")


def test_the_panel_command_prints_what_became_of_the_platform(run, data, tmp_path):
    options = ("--groupby", "cell_type", "--n-genes", 4, "--no-figures", "--out", tmp_path / "out")
    code, out, _ = run("panel", data, *options, "--platform", "xenium_v1")
    assert code == 0
    assert "no public limit on transcripts per cell; give --max-transcripts" in out
    assert "probe_sets" in pd.read_csv(tmp_path / "out" / "platform.csv")["quantity"].to_list()
