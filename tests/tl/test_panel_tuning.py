"""tl.panel(tune=True): settings by cross-validation inside the cells given."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

import smash_gpu as smg


def test_tuning_judges_panels_of_training_cells_by_the_cells_held_out(adata):
    """The error of a setting, computed again fold by fold with `tl.panel` and scikit-learn."""
    options = {"n_genes": 3, "exclude_families": (), "variation": 0.05, "nested": True}
    smg.tl.panel(adata, "cell_type", **options, tune=True)
    table = smg.get.panel_table(adata, "tuning")
    assert table["prior"].tolist() == [0, 0.5] and table["variation"].tolist() == [0.05, 0.05]
    best = table[table["chosen"]].iloc[0]
    assert best["misclassification"] == table["misclassification"].min()
    noted = adata.uns["smash_panel"]["params"]["panel"]
    assert noted["prior"] == best["prior"] and noted["tune"]
    dense = adata.X.toarray().astype(float)
    e, labels, wrong = np.log1p(1e4 * dense / dense.sum(axis=1, keepdims=True)), adata.obs["cell_type"].to_numpy(), []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels):
        part = adata[train].copy()
        smg.tl.panel(part, "cell_type", **options)
        genes = adata.var_names.get_indexer(smg.get.panel(part))
        z = (e[:, genes] - e[np.ix_(train, genes)].mean(axis=0)) / e[np.ix_(train, genes)].std(axis=0)
        wrong.append((KNeighborsClassifier(3).fit(z[train], labels[train]).predict(z[test]) != labels[test]).mean())
    assert table["misclassification"][0] == pytest.approx(np.mean(wrong), abs=0.01)


@pytest.mark.slow
def test_tuning_takes_the_largest_weight_of_the_variation_that_costs_no_cell(adata):
    smg.tl.panel(adata, "cell_type", n_genes=4, tune=True, tau=3.0, max_transcripts=12, probe_sets=(1, 4))
    table = smg.get.panel_table(adata, "tuning")
    assert set(table["tau"]) == {3.0} and len(table) == 4
    free = table[table["misclassification"] <= table["misclassification"][:2].min()]
    chosen = table[table["chosen"]].iloc[0]
    assert chosen["variation"] == free["variation"].max()
    smg.tl.panel(adata, "cell_type", n_genes=4, tau=3.0, max_transcripts=12, probe_sets=(1, 4),
                 prior=chosen["prior"], variation=chosen["variation"], key="again")  # fmt: skip
    assert smg.get.panel(adata) == smg.get.panel(adata, key="again")
    with pytest.raises(KeyError, match=r"holds no tuning; run tl.panel\(tune=True\) first"):
        smg.get.panel_table(adata, "tuning", key="again")
