"""Which model: every run is one line, and the page shows what the lines say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cells import REPOSITORY, planted

from benchmarks import quality, record, which_model, which_model_table

PAGE = REPOSITORY / "docs" / "which-model.md"
LINES = record.RESULTS / "which_model.jsonl"
MARKS = ("choices", "models", "units")


@pytest.mark.parametrize("name", MARKS)
def test_the_page_shows_the_committed_lines(name):
    assert record.marked(PAGE, name) == which_model_table.tables(LINES)[name], (
        "run: python -m benchmarks which_model_table"
    )


@pytest.mark.slow
def test_a_run_judges_markers_and_panels_on_held_out_cells_and_is_not_repeated(tmp_path):
    quality.read.cache_clear()
    planted(np.random.default_rng(0), n_genes=110).write_h5ad(tmp_path / "kang_muscat.h5ad")
    page = tmp_path / "page.md"
    page.write_text("".join(record.START.format(n) + record.END.format(n) for n in MARKS))
    lines = tmp_path / "lines.jsonl"
    arguments = ["--data", tmp_path, "--json", lines, "--page", page, "--sets", "kang_muscat", "--models", "rf"]
    which_model.main([*map(str, arguments)])
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(row["split"], row["seed"]) for row in rows] == [(31, 31), (31, 32), (32, 31)]
    for row in rows:
        assert {gene for genes in row["markers"].values() for gene in genes} >= {f"MARKER{c}X" for c in range(3)}
        assert [len(panel) for panel in row["panels"].values()] == [int(k) for k in row["panels"]]
        assert row["f_beta_1"] > 0.9 and row["M_10"] < 0.05 and row["logreg_M_10"] < 0.05
    which_model.main([*map(str, arguments)])
    assert len(lines.read_text().splitlines()) == len(rows)
    assert "| `rf` | 1 |" in record.marked(page, "models")


def line(model, unit, split, seed, *, wrong, markers):
    value = dict.fromkeys(which_model_table.MEASURED, wrong)
    run = {"set": unit, "groupby": "cell_type", "model": model, "split": split, "seed": seed}
    return run | value | {"cpu_seconds": 1.5, "markers": {"A": markers}, "panels": {"10": ["x"], "30": markers}}


def test_overlaps_compare_runs_that_differ_in_one_thing_and_choices_name_the_best(tmp_path):
    """Of three runs the first and second share a split, the first and third a seed."""
    rows = []
    for unit, worse in (("a", 0.1), ("b", 0.2)):
        for model, wrong in (("rf", 0.2), ("dnn", 0.2 + worse), ("brf", 0.2 + 4 * (worse - 0.15))):
            runs = zip(which_model.RUNS, (["g", "h"], ["g", "i"], ["i", "j"]), strict=True)
            rows += [line(model, unit, *run, wrong=wrong, markers=genes) for run, genes in runs]
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [rows[0] | {"M_10": 9.0}, *rows]))
    found = which_model_table.per_unit(which_model_table.read(path))
    assert set(found["markers_seeds"]) == {0.5} and set(found["markers_splits"]) == {0.0}
    assert set(found["panel_seeds"]) == {0.5} and set(found["panel_splits"]) == {0.0}
    tables = which_model_table.tables(path)
    assert "| `rf` | 2 | 20.0 / 20.0 / 20.0 |" in tables["models"]
    choice = next(row for row in tables["choices"].splitlines() if row.startswith("| a short panel"))
    assert choice == "| a short panel (10 genes) | `rf` | `brf` |"
    assert "| a cell_type | 20.0 / 30.0 / 0.0 |" in tables["units"]
