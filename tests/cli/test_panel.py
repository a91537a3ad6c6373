"""The command `panel`."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cases.commands import assert_one_message, changed

import smash_gpu as smg
from smash_gpu.cli.exit_codes import ExitCode
from smash_gpu.cli.panel_text import at_least

PNG = b"\x89PNG"


@pytest.fixture
def data(two_columns, tmp_path):
    two_columns.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def test_a_lower_bound_is_not_rounded_up():
    shown = {0.83585: "83.5%", 0.99996: "99.9%", 1.0: "100.0%", 1 - 1e-15: "100.0%", 0.7: "70.0%", 0.0: "0.0%"}
    assert {share: at_least(share) for share in shown} == shown


@pytest.mark.slow
def test_the_command_writes_what_vendors_and_readers_take(run, data, tmp_path):
    (tmp_path / "table.csv").write_text(
        "gene,probes,price\n" + "\n".join(f"NOISE{i},{i},1" for i in range(9, 60)) + "\nMARKER1X,9,1"
    )
    (tmp_path / "must.txt").write_text("NOISE30\n")
    out = tmp_path / "out"
    code, said, error = run(
        "panel", data, "--groupby", "cell_type", "fine", "--column-weights", 2, 1, "--n-genes", 8, "--include",
        tmp_path / "must.txt", "--max-transcripts", 30, "--max-counts", "-", 20, "--gene-table", tmp_path / "table.csv",
        "--limit", "probes", 5, "-", "--pair", "A", "A/2", 3, "--min-markers", 1, "--exclude-families", "ribosomal",
        "--xenium-reference", "--out", out,
    )  # fmt: skip
    assert code == 0, error
    assert "8 genes, in order of choice" in said
    assert "The fullest caps" in said
    panel = pd.read_csv(out / "panel.csv")
    assert panel["name"][0] == "NOISE30"
    assert set(panel["name"][1:]) <= {"MARKER1X", *(f"NOISE{i}" for i in range(9, 60))}
    assert {p.name for p in out.iterdir()} >= {
        "pairs.csv", "purposes.csv", "curve.csv", "rules.csv", "caps.csv", "certificate.csv", "xenium.csv",
        "merscope.csv", "params.json", "curve.png", "unresolved.png", "xenium_reference",
        "dotplot.png", "heatmap.png", "dotplot_fine.png", "heatmap_fine.png",
    }  # fmt: skip
    assert (out / "curve.png").read_bytes().startswith(PNG)
    assert (out / "xenium_reference" / "matrix.mtx.gz").exists()
    code, said, _ = run("evaluate", data, "--groupby", "cell_type", "--genes", out / "xenium.csv")
    assert code == 0
    assert "8 genes" in said


def test_the_command_says_what_is_in_the_way(run, data, tmp_path):
    code, _, error = run("panel", data, "--groupby", "cell_type", "--n-genes", 30, "--max-transcripts", 2)
    assert code == ExitCode.INFEASIBLE
    assert "no 30 genes fit all caps together" in error
    assert "raise it by" in error
    code, _, error = run("panel", data, "--groupby", "cell_type", "--column-weights", 1, 2)
    assert "--column-weights needs as many weights as --groupby has columns, 1" in error


def test_the_cap_that_a_warning_recommends_can_be_typed(run, data, tmp_path):
    def make_bright(adata):
        counts = adata.X.toarray()
        counts[:, -1] = 150
        adata.X = counts

    (tmp_path / "must.txt").write_text(f"{ad.read_h5ad(data).var_names[-1]}\n")
    changed(data, make_bright)
    panel = ["panel", data, "--groupby", "cell_type", "--n-genes", 8, "--no-figures"]
    code, _, error = run(*panel, "--include", tmp_path / "must.txt")
    assert code == 0, error
    assert "--max-counts - 100, or" in error
    code, _, error = run(*panel, "--max-counts", "-", 100)
    assert code == 0, error
    assert "too bright" not in error


@pytest.mark.slow
def test_genes_are_weighed_by_a_model_that_is_trained_first_or_by_a_result_in_the_file(run, data, tmp_path):
    panel = ["panel", data, "--groupby", "cell_type", "--n-genes", 8, "--no-figures"]
    code, _, error = run(*panel, "--weights", "rf", "--out", tmp_path / "model")
    assert code == 0, error
    adata = ad.read_h5ad(data)
    smg.tl.smash(adata, "cell_type", key="mine", min_cells=2)
    adata.write_h5ad(data)
    code, _, error = run(*panel, "--weights", "mine", "--out", tmp_path / "key")
    assert code == 0, error
    by_model, by_key = (pd.read_csv(tmp_path / name / "panel.csv") for name in ("model", "key"))
    pd.testing.assert_frame_equal(by_model, by_key)
    rules = pd.read_csv(tmp_path / "key" / "rules.csv")
    assert "no candidate of the model (weights)" in set(rules["rule"])
    code, said, error = run(*panel, "--weights", "rf,brf")
    assert code == 0, error
    assert "genes weighed by the model" in said
    code, _, error = run(*panel, "--weights", "xgbost")
    assert code == ExitCode.WRONG
    assert "did you mean 'xgboost'" in error.lower()


@pytest.mark.parametrize("option", [["--max-counts", "None", 100], ["--limit", "probes", "None", 100]])
def test_an_end_that_is_no_number_is_named_with_the_way_out(run, data, option):
    code, _, error = run("panel", data, "--groupby", "cell_type", *option)
    assert code == 2
    assert f"{option[0]}: 'None' is not a number; - stands for an open end" in error


@pytest.mark.slow
@pytest.mark.parametrize(("options", "left_out"), [([], {"RPL3", "MT-CO1"}), (["--exclude-families"], set())])
def test_families_are_left_out_by_default(run, two_columns, tmp_path, options, left_out):
    two_columns.var_names = ["RPL3", "MT-CO1", "HLA-DRA", *two_columns.var_names[3:]]
    two_columns.write_h5ad(tmp_path / "cells.h5ad")
    code, said, error = run(
        "panel", tmp_path / "cells.h5ad", "--groupby", "cell_type", "--n-genes", 12, *options, "--out", tmp_path / "out"
    )
    assert code == 0, error
    genes = set(pd.read_csv(tmp_path / "out" / "panel.csv")["name"])
    assert {"RPL3", "MT-CO1"} - genes == left_out
    way_out = "(HLA-DRA); --exclude-families mitochondrial ribosomal heat_shock housekeeping hla leaves them out."
    assert (way_out in said) == (not options)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("True", "False"), ("TRUE", "FALSE"), ("1", "0")])
def test_a_mask_may_be_in_the_file_or_in_the_gene_table(run, two_columns, tmp_path, words):
    allowed = ~two_columns.var_names.str.startswith("MARKER0")
    two_columns.var["in_file"] = np.where(allowed, *words)
    two_columns.write_h5ad(tmp_path / "cells.h5ad")
    table = pd.DataFrame({"gene": two_columns.var_names, "in_table": np.where(allowed, *words)})
    table[1:].to_csv(tmp_path / "table.csv", index=False)
    for column in ("in_file", "in_table"):
        code, said, error = run(
            "panel", tmp_path / "cells.h5ad", "--groupby", "cell_type", "--n-genes", 12, "--gene-table",
            tmp_path / "table.csv", "--mask-var", column, "--out", tmp_path / column,
        )  # fmt: skip
        assert code == 0, error
        assert not any(name.startswith("MARKER0") for name in pd.read_csv(tmp_path / column / "panel.csv")["name"])
        assert ("1 of 60 genes have no value in 'in_table'" in said + error) == (column == "in_table")


def test_parquet_is_asked_for_before_anything_is_computed(run, data, monkeypatch):
    monkeypatch.setattr("smash_gpu.cli.panel.find_spec", lambda _: None)
    code, said, error = run("panel", data, "--groupby", "cell_type", "--n-genes", 5, "--tables", "parquet")
    assert (code, said) == (2, "")
    assert "pip install pyarrow" in error


@pytest.mark.slow
def test_a_quota_is_a_file_or_a_family(run, data, tmp_path):
    (tmp_path / "noise.txt").write_text("NOISE30\nNOISE31\nNOISE32\n")
    quotas = ["--quota", "noise", tmp_path / "noise.txt", 2, "-", "--quota", "MHC", "hla", "-", 0]
    code, *_ = run("panel", data, "--groupby", "cell_type", "--n-genes", 5, *quotas, "--out", tmp_path / "out")
    assert code == 0
    caps = pd.read_csv(tmp_path / "out" / "caps.csv").set_index("of")
    assert caps.loc["noise", ["constraint", "used", "limit"]].tolist() == ["genes at least", 2, 2]
    assert caps.loc["MHC", ["constraint", "used", "limit"]].tolist() == ["genes at most", 0, 0]


@pytest.mark.slow
def test_numbers_of_probe_sets_are_in_the_tables_and_in_the_order(run, data, tmp_path):
    arguments = ("--n-genes", 6, "--max-transcripts", 12, "--probe-sets", 1, 4, "--out", tmp_path / "out")
    assert run("panel", data, "--groupby", "cell_type", *arguments)[0] == 0
    genes, order = (pd.read_csv(tmp_path / "out" / name) for name in ("panel.csv", "xenium.csv"))
    assert genes["probe_sets"].between(1, 4).all()
    assert genes["probe_sets"].nunique() > 1
    assert order["Probe sets"].tolist() == genes["probe_sets"].tolist()


def test_a_failure_rate_is_a_number_or_a_column(run, data, tmp_path):
    panel = ["panel", data, "--groupby", "cell_type", "--n-genes", 4, "--no-figures"]
    (tmp_path / "genes.csv").write_text("gene,rate\n" + "\n".join(f"{g},0.2" for g in ad.read_h5ad(data).var_names))
    found = []
    for rate in ([0.2], ["rate", "--gene-table", tmp_path / "genes.csv"]):
        code, _, error = run(*panel, "--failure-rate", *rate, "--out", tmp_path / str(rate[0]))
        assert code == 0, error
        found.append(pd.read_csv(tmp_path / str(rate[0]) / "panel.csv"))
    assert (found[0]["failure_rate"] == 0.2).all()
    pd.testing.assert_frame_equal(*found)
    code, _, error = run(*panel, "--failure-rate", data)
    assert code == 2
    assert f"--failure-rate: {data} is a file; pass it as --gene-table {data}, and the name of its column here" in error
    for option in ("--failure-rate", "--weight-key", "--cost-key", "--mask-var", "--length-key"):
        code, _, error = run(*panel, option, "rates.csv")
        assert code == 2 and f"{option}: rates.csv is a file; pass it as --gene-table" in error
    code, _, error = run(*panel, "--failure-rate", 1.2)
    assert code == ExitCode.WRONG
    assert "no probability below 1" in error


def test_a_tuned_panel(run, data, tmp_path):
    panel = ["panel", data, "--groupby", "cell_type", "--n-genes", 3, "--variation", 0.1, "--no-figures"]
    code, said, error = run(*panel, "--tune", "--nested", "--out", tmp_path / "design")
    assert code == 0, error
    assert "Settings by cross-validation:" in said
    assert pd.read_csv(tmp_path / "design" / "tuning.csv")["chosen"].sum() == 1


def test_a_panel_without_classes(run, data, tmp_path):
    code, said, error = run("panel", data, "--n-genes", 5, "--variation", 1, "--out", tmp_path / "design")
    assert code == 0, error
    assert "of the variation explained; no panel of this size explains more than" in said
    assert "Resolution" not in said and "pairs of classes" not in said
    assert {"panel.csv", "curve.csv", "curve.png"} <= {path.name for path in (tmp_path / "design").iterdir()}
    code, _, error = run("panel", data, "--n-genes", 5)
    assert code == 2 and "--groupby is missing" in error and "--variation 1" in error
    code, _, error = run("panel", data, "--n-genes", 5, "--variation", 1, "--min-markers", 1)
    assert code == 2 and "--min-markers needs classes" in error


@pytest.mark.parametrize("target", ["pc", "total"])
def test_a_target_of_the_variation_without_a_weight_of_it_is_refused(run, data, target):
    options = ("--groupby", "cell_type", "--n-genes", 4, "--no-figures", "--variation-target", target)
    assert_one_message(run("panel", data, *options), "--variation-target says what --variation is of")
    assert run("panel", data, *options, "--variation", 0.1)[0] == 0


def test_the_variation_is_reported(run, data, tmp_path):
    panel = ["panel", data, "--groupby", "cell_type", "--n-genes", 8, "--no-figures", "--out", tmp_path / "out"]
    code, said, error = run(*panel, "--variation", 0.3)
    assert code == 0, error
    curve = pd.read_csv(tmp_path / "out" / "curve.csv").iloc[-1]
    share, bound = (f"{curve[name]:.1%}" for name in ("variation", "variation_bound"))
    assert f"{share} of the variation explained; no panel of this size explains more than {bound}." in said
    code, _, error = run(*panel, "--variation", 30)
    assert code and "--variation 30.0 must be a fraction from 0 to 1" in error
