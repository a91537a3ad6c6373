"""``python -m benchmarks network_settings`` on planted cells."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cells import planted

from benchmarks import network_settings, quality


@pytest.fixture
def judge(tmp_path, rng):
    planted(rng, n_cells=400).write_h5ad(tmp_path / "planted.h5ad")
    return network_settings.Judge(quality.read(tmp_path, "planted", "cell_type"), 5)


def test_coverage_is_the_greedy_choice_in_a_plain_loop(judge, rng):
    weight, chosen = rng.random(len(judge.genes)), []
    for _ in range(6):
        values = [
            sum(
                1 - np.exp(-sum(weight[g] * judge.separation(a, b)[g] for g in [*chosen, gene]) / 2)
                for a in range(3)
                for b in range(a)
            )
            for gene in range(len(judge.genes))
        ]
        chosen.append(max((value, -gene) for gene, value in enumerate(values) if gene not in chosen)[1] * -1)
    assert judge.coverage(weight, 6).tolist() == chosen


def test_score_factors_are_signed(judge):
    """A planted marker is high in its class and low in the others, whatever its score is multiplied by."""
    for name, factor in judge.per_class().items():
        if name != "none":
            for c in range(3):
                marker = judge.names.tolist().index(f"MARKER{c}X")
                assert factor[c, marker] > 0 > max(factor[other, marker] for other in range(3) if other != c)


@pytest.mark.slow
def test_lines_are_written_once_and_printed(tmp_path, rng, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.setattr(network_settings.quality, "BUDGETS", (3, 6))
    monkeypatch.setattr(network_settings, "METHODS", {"wilcoxon": First})
    planted(rng, n_cells=400).write_h5ad(tmp_path / "planted.h5ad")
    lines = tmp_path / "lines"
    command = ["--data", str(tmp_path), "--sets", "planted:cell_type", "--seeds", "5", "--json", str(lines)]
    for _ in range(2):
        network_settings.main([*command, "--penalties", "0", "1"])
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["group_lasso"] for row in rows] == ["reference", 0, 1]
    assert all(0.3 < accuracy <= 1 for row in rows[1:] for accuracy in row["accuracy"])
    accuracy = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| planted |"))
    assert accuracy.split(" | ")[1] == f"{np.mean(rows[1]['accuracy']):.3f}"


class First:
    """Chooses the first genes."""

    @staticmethod
    def choose(data, n_genes, seed):
        return np.arange(n_genes)
