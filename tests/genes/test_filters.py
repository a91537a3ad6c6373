"""Detection rules by share of cells, and the ledger of what each rule removed."""

from __future__ import annotations

import numpy as np
import pytest
from cells import planted
from hypothesis import given, settings
from hypothesis import strategies as st

import smash_gpu as smg
from smash_gpu.data.stats import GroupStats
from smash_gpu.genes import filters as gene_filters


def stats_of(detected, cells):
    detected = np.asarray(detected)
    return GroupStats(np.asarray(cells), detected, *[detected * 1.0] * 3)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.3, 0.5, 0.75]), st.sampled_from([0.25, 0.5, 1.0]))
def test_detection_rules_are_the_plain_loop(seed, fraction, share_of_groups):
    rng = np.random.default_rng(seed)
    cells = rng.integers(1, 21, 5)
    detected = rng.integers(0, cells[:, None] + 1, (5, 30))
    expressed, common = [], []
    for gene in range(30):
        at_least = [detected[c, gene] / cells[c] >= fraction for c in range(5)]
        expressed.append(any(at_least))
        common.append(sum(at_least) >= share_of_groups * 5)
    stats = stats_of(detected, cells)
    assert gene_filters.expressed(stats.fraction, fraction).tolist() == expressed
    assert gene_filters.ubiquitous(stats.fraction, fraction, share_of_groups).tolist() == common


@pytest.mark.parametrize("n", [10, 20, 30, 70, 100, 1000])
def test_a_gene_in_exactly_30_percent_of_one_group_is_expressed(n):
    at, below = 3 * n // 10, 3 * n // 10 - 1
    assert gene_filters.expressed(stats_of([[at, below], [0, 0]], [n, n]).fraction).tolist() == [True, False]


@pytest.mark.parametrize("n", [4, 20, 100, 1000])
def test_a_gene_in_exactly_75_percent_of_half_the_groups_is_ubiquitous(n):
    at, below = 3 * n // 4, 3 * n // 4 - 1
    detected = [[at, at, below], [at, 0, below], [0, 0, n], [0, 0, 0]]
    assert gene_filters.ubiquitous(stats_of(detected, [n] * 4).fraction).tolist() == [True, False, False]


def test_one_group_of_three_is_less_than_half():
    assert not gene_filters.ubiquitous(stats_of([[10], [0], [0]], [10] * 3).fraction).any()
    assert gene_filters.ubiquitous(stats_of([[10], [10], [0]], [10] * 3).fraction).all()


def test_ledger_counts_what_a_rule_hits_and_what_was_still_there():
    rules = {
        "first": np.array([True, True, False, False, False]),
        "second": np.array([False, True, True, False, True]),
    }
    left, table = gene_filters.ledger(rules, keep=np.array([False, False, False, False, True]))
    assert left.tolist() == [False, False, False, True, True]
    assert table.columns.tolist() == ["rule", "matched", "removed", "left"]
    assert table.to_numpy().tolist() == [["first", 2, 2, 3], ["second", 3, 1, 2]]


def test_the_order_of_the_rules_changes_the_ledger_and_not_the_genes(rng):
    rules = {f"rule {i}": rng.random(50) < 0.3 for i in range(4)}
    keep = rng.random(50) < 0.1
    left, table = gene_filters.ledger(rules, keep)
    turned, other = gene_filters.ledger(dict(reversed(rules.items())), keep)
    np.testing.assert_array_equal(left, turned)
    np.testing.assert_array_equal(left, keep | ~np.any(list(rules.values()), axis=0))
    assert table["removed"].sum() == other["removed"].sum() == 50 - left.sum()
    assert table["rule"].tolist() == [*rules]
    assert other["rule"].tolist() == [*reversed(rules)]


def test_a_ledger_without_rules_keeps_every_gene():
    left, table = gene_filters.ledger({}, np.zeros(4, dtype=bool))
    assert left.all()
    assert table.empty


def test_filter_genes_reports_every_rule_in_order_and_narrows_the_mask(rng):
    adata = planted(rng)
    renamed = dict(zip(adata.var_names[-5:], ["MT-CO1", "RPL3", "HSPA8", "HLA-A", "GAPDH"], strict=True))
    adata.var_names = [renamed.get(name, name) for name in adata.var_names]
    smg.pp.filter_genes(adata, "cell_type", max_fraction=0.75, exclude=["NOISE20"], keep=["HLA-A"])
    table = adata.uns["smash"]["filters"].set_index("rule")
    assert [rule.split()[0] for rule in table.index] == [
        *("excluded", "mitochondrial", "ribosomal", "heat", "HLA", "housekeeping", "detected", "detected")
    ]
    assert table["matched"].tolist()[:6] == [1, 1, 1, 1, 1, 1]
    assert table["removed"].tolist()[:6] == [1, 1, 1, 1, 0, 1]
    assert (adata.n_vars - table["removed"].cumsum()).tolist() == table["left"].tolist()
    candidates = adata.var["smash_candidate"]
    assert candidates.sum() == table["left"].iloc[-1]
    assert not candidates[["NOISE20", "MT-CO1", "RPL3", "HSPA8", "GAPDH"]].any()
    assert candidates["HLA-A"]


def test_a_family_that_is_not_named_is_not_removed(rng):
    adata = planted(rng)
    adata.var_names = ["MT-CO1", "RPL3", *adata.var_names[2:]]
    off = {"min_fraction": 0.0}
    smg.pp.filter_genes(adata, "cell_type", families=["ribosomal"], **off)
    assert adata.var["smash_candidate"][["MT-CO1", "RPL3"]].tolist() == [True, False]
    smg.pp.filter_genes(adata, "cell_type", families=(), **off)
    assert adata.var["smash_candidate"].all()


def test_families_are_named_as_biologists_write_them():
    rules = gene_filters.family_rules(("heat_shock", "hla"), np.array(["HLA-A", "HSPA1A", "CD3E"]), "human", what="x")
    assert {rule: hit.tolist() for rule, hit in rules.items()} == {
        "heat shock genes": [False, True, False],
        "HLA genes": [True, False, False],
    }


def test_the_named_species_rules_over_the_spelling(rng):
    adata = planted(rng)
    adata.var_names = ["Rpl3", "RPL3", *adata.var_names[2:]]
    off = {"min_fraction": 0.0}
    smg.pp.filter_genes(adata, "cell_type", species="mouse", **off)
    assert adata.var["smash_candidate"][["Rpl3", "RPL3"]].tolist() == [False, True]
    smg.pp.filter_genes(adata, "cell_type", **off)
    assert adata.var["smash_candidate"][["Rpl3", "RPL3"]].tolist() == [True, False]


@pytest.mark.parametrize("spelled", ["Mt-co1", "mt:CoI", "MT.CO1", "mt_Co1"])
def test_mitochondrial_genes_go_in_every_spelling(rng, spelled):
    adata = planted(rng)
    adata.var_names = [spelled, *adata.var_names[1:]]
    smg.pp.filter_genes(adata, "cell_type", min_fraction=0.0)
    assert adata.var_names[~adata.var["smash_candidate"]].tolist() == [spelled]


def test_of_an_unknown_species_mitochondrial_genes_go_and_a_warning_says_that_no_others_do(rng):
    adata = planted(rng)
    adata.var_names = ["mt:CoI", "RpL13A", *(f"dpp{i}" for i in range(adata.n_vars - 2))]
    with pytest.warns(UserWarning, match="neither human.*only mitochondrial genes.*pass species="):
        smg.pp.filter_genes(adata, "cell_type", min_fraction=0.0)
    assert adata.var_names[~adata.var["smash_candidate"]].tolist() == ["mt:CoI"]
