"""The folder of `panel --out` says what the next command has to know."""

from __future__ import annotations

import json

import pytest
from cases.commands import assert_one_message, written


@pytest.fixture
def order(run, data, tmp_path, monkeypatch):
    """The folder of a panel whose command was typed with names from another folder."""
    monkeypatch.chdir(tmp_path)
    ids = ["gene_name,gene_id", *(f"MARKER{n}X,ENSG0000000000{n}" for n in range(3))]
    written(tmp_path / "ids.csv", *ids)
    written(tmp_path / "printed.txt", "NOISE30", "NOISE31")
    written(tmp_path / "mine.toml", "[mine]", "n_genes = [1, 8]")
    code, _, error = run(
        "panel", "cells.h5ad", "--groupby", "cell_type", "--n-genes", 6, "--extend", "printed.txt", "--ensembl-table",
        "ids.csv", "--platform", "mine.toml", "--max-counts", "-", 90, "--limit", "mean", 0, "-", "--gene-table",
        written(tmp_path / "table.csv", "gene,mean", *(f"NOISE{n},1" for n in range(9, 60)),
                *(f"MARKER{g}{letter},1" for g in range(3) for letter in "XYZ")),
        "--max-transcripts", 90, "--counts", "--device", "cpu", "--memory", "8GB", "--no-figures", "--out", "order",
    )  # fmt: skip
    assert code == 0, error
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "order"


def test_the_folder_of_a_panel_is_validated_as_it_was_designed(run, order, data):
    code, out, error = run("validate", order)
    assert code == 0, error
    first, *checks = out.splitlines()
    said = ("--reference", str(data), "--max-counts - 90", "--limit mean 0 -", "--counts", "mine.toml")
    assert first.startswith(f"as in {order / 'params.json'}: ") and all(word in first for word in said)
    assert not {"--device", "--memory", "--out"} & {*first.split()}, "the next command may run on another machine"
    folder = order.parent
    same = run(
        "validate", order / "xenium.csv", "--reference", data, "--groupby", "cell_type", "--extend",
        folder / "printed.txt", "--ensembl-table", folder / "ids.csv", "--platform", folder / "mine.toml",
        "--max-counts", "-", 90, "--limit", "mean", 0, "-", "--gene-table", folder / "table.csv",
        "--max-transcripts", 90, "--counts",
    )  # fmt: skip
    assert same[1].splitlines() == checks


def test_options_that_are_typed_win(run, order):
    assert run("validate", order, "--max-transcripts", 0.5)[0] == 1
    (row,) = [
        row for row in json.loads(run("validate", order, "--platform", "cosmx", "--json")[1])["checks"]
        if row["check"] == "number of genes"
    ]  # fmt: skip
    assert row["verdict"] == "not checked"


def test_the_folder_of_a_panel_is_exported_with_its_ids(run, order):
    code, out, error = run("export", order, "--format", "cosmx", "--out", "cosmx.csv")
    assert code == 0, error
    assert "--ensembl-table" in out.splitlines()[0]
    assert (order / "xenium.csv").read_text().count("ENSG") == 3


def test_other_folders_and_missing_options_are_named(run, order, data, tmp_path):
    assert_one_message(run("validate", tmp_path), f"{tmp_path} is a folder, but not one that smash-gpu panel --out")
    written(tmp_path / "params.json", json.dumps({"selection": {}}))
    assert_one_message(run("validate", tmp_path), "no params.json with the options of the command")
    assert_one_message(run("validate", order / "xenium.csv", "--groupby", "cell_type"), "--reference is missing")
    assert_one_message(run("validate", order / "xenium.csv", "--reference", data), "--groupby is missing")
    label_free = tmp_path / "label_free"
    assert run("panel", data, "--variation", 1, "--n-genes", 3, "--no-figures", "--out", label_free)[0] == 0
    assert_one_message(run("validate", label_free), "designed without classes")
    code, out, _ = run("export", label_free, "--format", "cosmx", "--out", "cosmx.csv")
    assert code == 0 and "as in" not in out


def test_the_options_are_json_without_infinity(order):
    def refuse(word):
        raise AssertionError(word)

    found = json.loads((order / "params.json").read_text(), parse_constant=refuse)
    assert found["max_counts"] == [None, 90.0] and found["command"]["n_genes"] == 6
