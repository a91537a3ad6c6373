"""The panel of a model: the objective of `tl.panel` with the importances that `tl.smash` stored."""

from __future__ import annotations

import numpy as np
import pytest
import strict_cupy
from cases.slots import FEW_TREES, smash
from cells import planted

import smash_gpu as smg
from smash_gpu.annotated import slots
from smash_gpu.annotated.read import read
from smash_gpu.errors import NotFoundError
from smash_gpu.models.forest import Forest
from smash_gpu.selection import marker_panel
from smash_gpu.selection.options import Importance, Recipe
from smash_gpu.selection.steps import select

CONSTRAINTS = {
    "plain": {},
    "nested": {"nested": True},
    "include": {"include": ["NOISE30"]},
    "extend": {"extend": ["MARKER0X", "MARKER1X"]},
    "exclude": {"exclude": ["MARKER0X"]},
    "priorities": {"priorities": {"MARKER0X": "spare", "NOISE31": "wanted"}},
    "mean counts": {"mean_counts": (None, 2.0)},
    "max transcripts": {"max_transcripts": 30},
    "budget": {"cost_key": "cost", "budget": 12.0},
    "limits": {"limits": {"cost": (None, 1.5)}},
    "gene weights": {"weight_key": "cost"},
    "markers": {"min_markers": 2},
    "samples": {"sample_key": "sample"},
    "batches": {"batch_key": "sample"},
    "positive only": {"positive_only": True},
    "pairs": {"pair_weights": {("A", "B / b"): 3.0}},
}


def test_equal_importances_give_the_panel_of_tl_panel(adata):
    smash(adata)
    adata.var["smash_importance"] = adata.var["smash_importance"].where(adata.var["smash_importance"].isna(), 1.0)
    for nested in (True, False):
        options = {"nested": nested, "exclude_families": (), "mask_var": "smash_candidate"}
        smg.tl.panel(adata, "cell_type", n_genes=9, **options)
        assert smg.get.marker_panel(adata, 9, nested=nested) == smg.get.panel(adata)


def test_the_importances_of_the_model_are_the_weights_of_the_panel(adata):
    """The least important planted marker makes way for others only if the model says so."""
    smash(adata)
    known = smg.get.marker_panel(adata, 9)
    names = adata.var_names[adata.var["smash_importance"].notna()]
    adata.var.loc[names, "smash_importance"] = [float(not name.startswith("MARKER")) for name in names]
    assert not {name for name in smg.get.marker_panel(adata, 9) if name.startswith("MARKER")}
    assert sum(name.startswith("MARKER") for name in known) == 9


def test_tl_panel_with_weights_is_the_same_panel(adata):
    smash(adata, min_log2_fold_change=0, near_highest=0, min_fraction_difference=-1)
    for nested in (True, False):
        smg.tl.panel(adata, "cell_type", n_genes=12, nested=nested, weights="smash", exclude_families=())
        assert smg.get.panel(adata) == smg.get.marker_panel(adata, 12, nested=nested)
    assert slots.recorded(adata, "smash_panel", "panel")["weights"] == "smash"


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_every_constraint_holds_with_weights(constraint, adata):
    options = CONSTRAINTS[constraint]
    adata.var["cost"] = np.tile([1.0, 2.0], adata.n_vars // 2)
    smash(adata, model_options=FEW_TREES)
    smg.tl.panel(adata, "cell_type", n_genes=9, weights="smash", **options)
    panel, table = smg.get.panel(adata), smg.get.panel_table(adata)
    assert len(set(panel)) == 9
    chosen = [name for name in panel if name not in options.get("include", ())]
    assert adata.var["smash_candidate"][chosen].all()
    assert set(options.get("include", ())) <= set(panel)
    assert not {*options.get("exclude", ()), *options.get("extend", ())} & set(panel)
    caps = smg.get.panel_table(adata, "caps")
    assert (caps["used"] <= caps["limit"] * (1 + 1e-9)).all()
    if constraint == "limits":
        assert (adata.var["cost"][panel] <= 1.5).all()
    if constraint == "mean counts":
        assert (table["mean_counts"] <= 2.0).all()
    if constraint == "markers":
        certificate = smg.get.panel_table(adata, "certificate")
        assert (certificate["found"] >= certificate["asked"]).all()
    curve = smg.get.panel_table(adata, "curve")
    assert ((curve["of_bound"] > 0) & (curve["of_bound"] <= 1)).all()


def test_weights_of_a_result_that_is_not_there_are_an_error_that_names_the_step(adata):
    with pytest.raises(NotFoundError, match=r"weights='smash'.*smash_importance.*tl\.smash"):
        smg.tl.panel(adata, "cell_type", n_genes=3, weights="smash")
    smash(adata, key="other")
    smg.tl.panel(adata, "cell_type", n_genes=3, weights="other")
    assert len(smg.get.panel(adata)) == 3


def test_weights_of_other_data_are_a_warning(adata):
    smash(adata)
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.rename_categories({"A": "a"})
    with pytest.warns(UserWarning, match="other data"):
        smg.tl.panel(adata, "cell_type", n_genes=3, weights="smash")


def test_genes_that_may_not_be_markers_of_any_group_are_not_chosen(adata):
    smash(adata, positive_only=True)
    eligible = np.asarray(adata.varm["smash_eligible"]) | np.asarray(adata.varm["smash_spare"])
    n_genes = int(eligible.any(axis=1).sum())
    with pytest.warns(UserWarning, match="differ less"):
        panel = smg.get.marker_panel(adata, n_genes)
    assert set(panel) == set(adata.var_names[eligible.any(axis=1)])
    with pytest.raises(ValueError, match=rf"{n_genes + 1} genes: only {n_genes} have a score.*filters.*fewer"):
        smg.get.marker_panel(adata, n_genes + 1)


def test_importance_of_several_models_is_their_mean(adata):
    data = read(adata, {"groupby": "cell_type"})

    def importance(seed, n_models):
        how = Importance("rf", FEW_TREES, random_state=seed, n_models=n_models)
        return select(data, Recipe(importance=how)).scores.importance

    both = importance(0, 2)
    np.testing.assert_allclose(both, (importance(0, 1) + importance(1, 1)) / 2, rtol=1e-6)
    assert both.dtype == np.float32


def test_within_broad_groups_a_gene_counts_as_in_the_part_where_it_matters_most(rng):
    fine = planted(rng, groups=("a1", "a2", "b1", "b2"), n_cells=400)
    fine.obs["broad"] = fine.obs["cell_type"].str[0].str.upper()
    smash(fine, within="broad")
    weights = fine.var["smash_importance"]
    assert weights.max() == 1
    assert (weights.notna() == fine.var["smash_candidate"]).all()
    panel = smg.get.marker_panel(fine, 8)
    assert {name[len("MARKER")] for name in panel if name.startswith("MARKER")} == set("0123")


class ByGroup:
    """A model without global importance: gene c is that of group c."""

    def fit(self, X, group, split):
        self.n = int(group.max()) + 1
        return self

    def importance(self, X, group, split):
        scores = np.zeros((self.n, X.shape[1]))
        scores[np.arange(self.n), np.arange(self.n)] = [-3.0, 1.0, 2.0]
        return scores

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


class Overall(ByGroup):
    """The same with one of its own."""

    answer = staticmethod(lambda n_genes: np.arange(n_genes, dtype=float))

    def global_importance(self, X, group, split):
        return self.answer(X.shape[1])


def test_a_model_of_the_user_may_state_its_global_importance(adata):
    for model, expected in ((ByGroup(), [1, 1 / 3, 2 / 3]), (Overall(), [0, 1, 2])):
        smg.tl.smash(adata, "cell_type", model=model, filters={"min_fraction": 0}, inverse_pca=False)
        candidates = adata.var["smash_importance"].dropna()
        assert candidates.to_numpy()[:3] == pytest.approx(expected)


@pytest.mark.parametrize(("answer", "said"), [
    (lambda n: np.ones(n - 1), r"one per gene, 0 or more; it has shape \(\d+,\)"),
    (lambda n: np.full(n, -1.0), "negative, infinite or missing"),
    (lambda n: np.full(n, np.nan), "negative, infinite or missing"),
])  # fmt: skip
def test_a_global_importance_that_cannot_be_one_is_an_error(adata, answer, said, monkeypatch):
    monkeypatch.setattr(Overall, "answer", staticmethod(answer))
    with pytest.raises(ValueError, match=said):
        smg.tl.smash(adata, "cell_type", model=Overall())


@pytest.mark.parametrize("n_genes", [2.5, "3"])
def test_a_number_of_genes_that_is_not_whole_is_named(adata, n_genes):
    smg.tl.smash(adata, "cell_type", model_options={"n_estimators": 3})
    for call in (smg.get.marker_panel, lambda cells, n: smg.tl.panel(cells, "cell_type", n_genes=n)):
        with pytest.raises(TypeError, match=rf"n_genes={n_genes!r} must be a whole number"):
            call(adata, n_genes)


@pytest.mark.parametrize("option", ["n_models", "n_top", "random_state"])
def test_other_numbers_that_are_not_whole_are_named(adata, option):
    with pytest.raises(TypeError, match=f"{option}=1.5 must be a whole number"):
        smg.tl.smash(adata, "cell_type", **{option: 1.5})


def test_equal_importances_give_equal_panels_on_a_device(monkeypatch, rng):
    """Models differ between libraries, so the same importances are given."""
    adata = planted(rng)
    data = read(adata, {"groupby": "cell_type", "device": "cpu"})
    found = select(data, Recipe(importance=Importance("rf", FEW_TREES)))
    panels = [marker_panel.of_selection(found, data.names, 20)]
    strict_cupy.install(monkeypatch)
    panels.append(marker_panel.of_selection(found, data.names, 20, device="cuda"))
    assert panels[0].tolist() == panels[1].tolist()


def test_the_evaluation_chooses_the_same_panel(adata):
    smash(adata)
    data = read(adata, {"groupby": "cell_type"})
    chosen = marker_panel.choose_panel(Recipe(importance=Importance("rf", FEW_TREES)), 15)(data)
    assert data.names[chosen].tolist() == smg.get.marker_panel(adata, 15)


def test_a_forest_states_its_gini_importance(adata):
    from sklearn.ensemble import RandomForestClassifier

    model = Forest(RandomForestClassifier(10, random_state=0))
    smg.tl.smash(adata, "cell_type", model=model)
    stored = adata.var["smash_importance"].dropna()
    assert stored.to_numpy() == pytest.approx(model.estimator.feature_importances_)
