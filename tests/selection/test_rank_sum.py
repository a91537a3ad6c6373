"""The genes of scanpy's Wilcoxon test, groups in turn, chosen on training cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.lists import MIXED, data_of

import smash_gpu as smg
from smash_gpu.selection import rank_sum

sc = pytest.importorskip("scanpy")


def by_scanpy(cells):
    """z of every gene, groups × genes, and the genes of every group from the best to the worst."""
    cells = cells.copy()
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    sc.tl.rank_genes_groups(cells, "cell_type", method="wilcoxon")
    found = cells.uns["rank_genes_groups"]
    names, scores = pd.DataFrame(found["names"]), pd.DataFrame(found["scores"])
    z = [pd.Series(scores[group].to_numpy(), names[group])[cells.var_names] for group in names]
    return np.array(z), names


def in_turn(cells, n_genes):
    """Every group takes its best gene that is left, the group with the largest z first."""
    z, names = by_scanpy(cells)
    scores = pd.DataFrame(z, list(names), cells.var_names)
    chosen = []
    while len(chosen) < n_genes:
        turn = list(names)
        while turn:
            left = scores.loc[turn].drop(columns=chosen)
            group, gene = left.stack().idxmax()
            chosen.append(gene)
            turn.remove(group)
    return chosen[:n_genes]


@pytest.mark.parametrize("room", [2**40, 240 * 4 * 4 * 25], ids=["one pass", "three passes"])
def test_the_scores_are_those_of_scanpy(adata, monkeypatch, room):
    """Two cells with 2 of 500 and 4 of 1,000 counts are tied or not as the last digit falls: half a rank."""
    monkeypatch.setattr("smash_gpu.runtime.memory.room", lambda: room)
    np.testing.assert_allclose(rank_sum.scores(data_of(adata)), by_scanpy(adata)[0], rtol=1e-5, atol=0.01)


def test_the_genes_are_chosen_on_the_training_cells_of_every_split(adata):
    lists = {"standard": "wilcoxon", "scanpy": lambda cells, n: in_turn(cells.to_memory(), n)}
    smg.tl.evaluate(adata, "cell_type", genes=lists, n_genes=9, n_splits=2)
    panels = smg.get.evaluation_panels(adata).groupby(["genes", "split"])["name"].apply(list)
    assert panels["standard"].tolist() == panels["scanpy"].tolist()
    assert panels["standard"][0] != panels["standard"][1]


def test_an_evaluation_with_it_can_be_run_again(adata):
    smg.tl.evaluate(adata, "cell_type", genes={"standard": "wilcoxon", "mine": MIXED}, n_genes=4, n_splits=2)
    options, table = smg.get.evaluation_options(adata), smg.get.evaluation_splits(adata)
    assert options["genes"] == {"standard": "wilcoxon", "mine": MIXED}
    smg.tl.evaluate(adata, **options)
    pd.testing.assert_frame_equal(smg.get.evaluation_splits(adata), table)
    smg.tl.evaluate(adata, "cell_type", genes="wilcoxon", n_genes=4, n_splits=2)
    assert smg.get.comparison(adata)["genes"].unique().tolist() == ["wilcoxon"]


def test_more_genes_than_there_are_cannot_be_chosen(adata):
    with pytest.raises(ValueError, match="wilcoxon cannot choose 61 genes: the data have 60"):
        smg.tl.evaluate(adata, "cell_type", genes="wilcoxon", n_genes=61)


@pytest.mark.slow
def test_real_cells_have_the_list_of_scanpy(shared):
    cells = shared("pbmc3k")
    genes = rank_sum.choose(100)(data_of(cells))
    assert len(set(cells.var_names[genes]) & set(in_turn(cells, 100))) >= 98
