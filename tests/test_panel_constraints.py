"""Panels under constraints: exactly N genes and every cap, or a certificate; beside brute force and plain loops."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from cells import planted
from hypothesis import given, settings
from hypothesis import strategies as st

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.panel.adjust import sample_limits
from smash_gpu.panel.feasible import Task, completion
from smash_gpu.panel.problem import prepare
from smash_gpu.panel.reserve import Reserve
from smash_gpu.panel.substitutes import RISE, substitutes
from smash_gpu.panel.tables import tables


@pytest.fixture
def data(adata):
    return read(adata, {"groupby": "cell_type"})


def designed(data, table=None, **options):
    levels = [panel.Level("cell_type", data.group, data.groups)]
    return panel.design(prepare(data, levels, panel.Request.of(options), table))


def names(design):
    return [str(name) for name in design.problem.genes.names[design.panel]]


def counts_per_cell(data):
    dense = data.matrix.toarray().astype(float)
    return np.array([dense[data.group == c].mean(axis=0) for c in range(data.n_groups)])


@pytest.mark.parametrize(("cap", "n_genes"), [(15.0, 10), (20.0, 20), (60.0, 40), (9.0, 12)])
def test_the_cap_holds_in_every_class(data, cap, n_genes):
    design = designed(data, n_genes=n_genes, max_transcripts=cap)
    assert len(set(design.panel)) == n_genes
    assert (counts_per_cell(data)[:, design.panel].sum(axis=1) <= cap * (1 + 1e-9)).all()
    assert np.allclose(tables(design)["caps"]["used"], counts_per_cell(data)[:, design.panel].sum(axis=1))


def test_a_wide_cap_changes_nothing(data):
    assert designed(data, n_genes=20, max_transcripts=1e6).panel.tolist() == panel.choose(20)(data).tolist()


def test_a_cap_may_be_for_some_classes(data):
    free = counts_per_cell(data)[:, panel.choose(20)(data)].sum(axis=1)
    design = designed(data, n_genes=20, max_transcripts={data.groups[0]: 0.7 * free[0]})
    assert counts_per_cell(data)[0, design.panel].sum() <= 0.7 * free[0]
    with pytest.raises(KeyError, match="there is no class 'Z'"):
        designed(data, n_genes=20, max_transcripts={"Z": 1})


def test_the_existing_panel_fills_the_cap_separates_and_is_not_counted(data):
    existing = ["MARKER0X", "MARKER1X", "NOISE20"]
    design = designed(data, n_genes=10, extend=existing, max_transcripts=25.0)
    assert len(design.panel) == 10
    assert not set(names(design)) & set(existing)
    assert (counts_per_cell(data)[:, design.whole].sum(axis=1) <= 25).all()
    assert design.objective.tau == 0.3 * 13
    depth = design.objective.depth([list(data.names).index(name) for name in existing])
    assert np.isclose(design.value[0] - design.gain[0], design.objective.value(depth))
    assert not {"MARKER0X"} & set(names(designed(data, n_genes=2, extend=["MARKER0X"])))


@st.composite
def tasks(draw):
    """Small problems of caps and promised markers."""
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    n_genes, n_caps, n_classes = 9, draw(st.integers(0, 3)), draw(st.integers(0, 3))
    load = rng.choice([0.0, 0.1, 0.25, 0.5, 0.9], (n_caps, n_genes))
    markers = rng.random((n_classes, n_genes)) < 0.3
    tier = np.where(rng.random(n_genes) < 0.15, 4, rng.integers(1, 4, n_genes))
    possible = markers[:, tier < 4].sum(axis=1)
    missing = np.minimum(rng.integers(0, 3, n_classes), possible)
    return Task(draw(st.integers(1, 5)), tier, load, np.ones(n_caps), markers, missing)


@given(task=tasks())
@settings(max_examples=120, deadline=None)
def test_a_completion_is_found_if_there_is_one_and_lacks_the_fewest_markers(task):
    all_panels = [np.array(p) for p in combinations(task.genes, task.n)]
    fewest = min((task.lacks(p).sum() for p in all_panels if task.fits(p)), default=None)
    found = completion(task)
    assert (found.panel is None) == (fewest is None)
    if found.panel is not None:
        assert task.fits(found.panel)
        assert set(found.panel) <= set(task.genes)
        assert task.lacks(found.panel).sum() == fewest == found.least_lacking


@given(task=tasks(), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_the_reserve_completes_the_panel_whatever_is_chosen(task, seed):
    start = completion(task).panel
    if start is None:
        return
    reserve, chosen = Reserve(start, task), []
    for gene in np.random.default_rng(seed).permutation(np.tile(task.genes, 5)):
        if len(chosen) < task.n and gene not in chosen and reserve.may_fit()[gene] and reserve.admits(gene):
            reserve.take(gene)
            chosen.append(gene)
    assert set(reserve.members) | set(chosen) >= set(chosen)
    whole = np.array([*chosen, *reserve.members], dtype=int)
    assert task.fits(whole)
    assert len(set(whole)) == task.n
    assert task.lacks(whole).sum() == task.lacks(start).sum()


def test_promised_markers_are_there(data):
    plain = designed(data, n_genes=6, pair_weights={("A", "CD4+ T"): 1000.0})
    promised = designed(data, n_genes=6, pair_weights={("A", "CD4+ T"): 1000.0}, min_markers=2)
    markers = promised.problem.markers
    assert (markers[:, promised.panel].sum(axis=1) >= 2).all()
    assert not (markers[:, plain.panel].sum(axis=1) >= 2).all()
    assert not len(tables(promised)["certificate"])


def test_a_marker_exceeds_nine_tenths_of_the_other_classes(adata, rng):
    dense = adata.X.toarray()
    dense[:, 50] = rng.poisson(np.choose(adata.obs["cell_type"].cat.codes, [0.2, 6.0, 6.0]))  # exceeds one class only
    adata.X = type(adata.X)(dense)
    data = read(adata, {"groupby": "cell_type"})
    design = designed(data, n_genes=5, min_markers=1)
    n = data.stats.cells[:, None]
    mean = data.stats.total / n
    variance = data.stats.square / n - mean**2
    for c, g in np.ndindex(mean.shape):
        s = [(mean[c, g] - mean[o, g]) ** 2 / (variance[c, g] + variance[o, g] + 0.05) for o in range(3) if o != c]
        far = [x >= 0.5 and mean[c, g] > mean[o, g] for x, o in zip(s, [o for o in range(3) if o != c], strict=True)]
        assert design.problem.markers[c, g] == all(far)


def test_substitutes_keep_caps_and_promises(data):
    weights = {("A", "CD4+ T"): 1000.0}
    design = designed(data, n_genes=6, min_markers=2, max_transcripts=20.0, pair_weights=weights)
    assert (design.problem.markers[:, design.panel].sum(axis=1) >= 2).all()
    found = substitutes(design)
    assert (found.gene >= 0).any()
    for place, gene in enumerate(found.gene):
        if gene >= 0:
            panel_with = np.append(np.delete(design.panel, place), gene)
            assert (design.problem.markers[:, panel_with].sum(axis=1) >= 2).all()
            assert (counts_per_cell(data)[:, panel_with].sum(axis=1) <= 20.0).all()


@pytest.mark.parametrize(("n_genes", "cap"), [(8, 16.0), (16, 19.0), (20, 16.0)])
def test_under_a_cap_no_exchange_of_two_genes_would_do_better(rng, n_genes, cap):
    data = read(planted(rng, groups=tuple("ABCDE")), {"groupby": "cell_type"})
    assert substitutes(designed(data, n_genes=n_genes, max_transcripts=cap)).loss_with.min() >= -RISE


def test_more_markers_than_there_are_give_a_certificate_and_a_full_panel(data):
    design = designed(data, n_genes=20, min_markers=7, exclude=["MARKER0X", "MARKER0Y"])
    table = tables(design)["certificate"].set_index("class")
    assert len(design.panel) == 20
    markers = design.problem.markers
    allowed = ~np.isin(data.names, ["MARKER0X", "MARKER0Y"])
    for c, name in enumerate(data.groups):
        if markers[c].sum() >= 7 and markers[c, allowed].sum() >= 7:
            assert name not in table.index
            continue
        row = table.loc[name]
        assert (row["in_data"], row["allowed"]) == (markers[c].sum(), markers[c, allowed].sum())
        assert row["found"] == row["allowed"] < row["asked"] == 7  # as many as can be
        assert 0 < row["possible"] <= 1
    assert set(table.index)


def test_the_rule_in_the_way_is_named_and_what_lifting_it_gives(data):
    excluded = ["MARKER0X", "MARKER0Y", "MARKER0Z"]
    table = tables(designed(data, n_genes=10, min_markers={"cell_type": 3}, exclude=excluded))["certificate"]
    row = table.set_index("class").loc["A"]
    assert "excluded by the user" in row["reason"]
    assert "it could have" in row["way_out"]
    assert str(row["in_data"]) in row["way_out"]


def test_too_few_places_for_the_promises_are_proven(data):
    table = tables(designed(data, n_genes=2, min_markers=1))["certificate"]
    assert len(table) == 1
    assert "no 2 genes lack fewer than 1 of the promised markers" in table["reason"][0]


def test_a_cap_that_no_panel_meets_gives_the_least_that_would_do(data):
    with pytest.raises(panel.InfeasibleError, match="no 30 genes fit the caps together") as caught:
        designed(data, n_genes=30, max_transcripts=3.0)
    rows = caught.value.certificate.set_index("constraint")
    needed = rows.loc["transcripts per cell", "possible"]
    assert "raise it by" in str(caught.value)
    with pytest.raises(panel.InfeasibleError):
        designed(data, n_genes=30, max_transcripts=0.99 * needed)
    assert len(designed(data, n_genes=30, max_transcripts=1.03 * needed).panel) == 30
    fitting = int(rows.loc["n_genes", "possible"])
    with pytest.raises(panel.InfeasibleError):
        designed(data, n_genes=fitting + 1, max_transcripts=3.0)


def test_genes_that_must_be_in_and_exceed_a_cap_are_named(data):
    with pytest.raises(panel.InfeasibleError, match="must be in alone exceed") as caught:
        designed(data, n_genes=5, include=["MARKER0X", "MARKER0Y"], max_transcripts=4.0)
    assert caught.value.certificate["of"].tolist() == ["A"]


def test_rules_that_leave_too_few_genes_are_listed(data):
    with pytest.raises(panel.InfeasibleError, match="the rules leave") as caught:
        designed(data, n_genes=58, exclude=["NOISE20", "NOISE21", "NOISE22"])
    assert caught.value.certificate.set_index("constraint").loc["excluded by the user", "possible"] == 60
    with pytest.raises(panel.InfeasibleError, match="2 genes must be in a panel of 1"):
        designed(data, n_genes=1, include=["NOISE20", "NOISE21"])


def test_tiers_come_in_their_order(data):
    priorities = {"NOISE30": "must", "NOISE31": "wanted", "MARKER0X": "spare"}
    chosen = names(designed(data, n_genes=12, priorities=priorities))
    assert chosen[:2] == ["NOISE30", "NOISE31"]
    assert "MARKER0X" not in chosen
    everything = names(designed(data, n_genes=60, priorities=priorities))
    assert everything[-1] == "MARKER0X"
    with pytest.raises(ValueError, match="a priority is must, wanted, spare"):
        designed(data, n_genes=12, priorities={"NOISE30": "perhaps"})


def test_windows_limits_and_their_ledger(data):
    counts = counts_per_cell(data)
    table = pd.DataFrame({"probes": np.where(np.arange(60) == 3, np.nan, np.arange(60))}, index=data.names)
    options = {"mean_counts": (0.5, 3), "max_counts": (None, 5.0), "limits": {"probes": (1, 50)}}
    design = designed(data, table, n_genes=8, **options)
    mean = np.average(counts, axis=0, weights=data.stats.cells)
    for gene in design.panel:
        assert 0.5 <= mean[gene] <= 3
        assert counts[:, gene].max() <= 5
        assert 1 <= gene <= 50
    assert 3 not in design.panel
    assert tables(design)["rules"]["left"].iloc[-1] == (design.problem.found.tier < 4).sum()


def test_a_gene_that_is_included_is_kept_from_the_rules(data):
    design = designed(data, n_genes=5, include=["MARKER0X"], max_counts=(0, 3))
    assert names(design)[0] == "MARKER0X"


def test_the_budget_holds(data):
    table = pd.DataFrame({"price": np.linspace(1, 3, 60)}, index=data.names)
    design = designed(data, table, n_genes=10, cost_key="price", budget=14.0)
    assert table["price"].to_numpy()[design.panel].sum() <= 14
    with pytest.raises(ValueError, match="go together"):
        designed(data, table, n_genes=10, budget=14.0)
    with pytest.raises(panel.InfeasibleError, match="cost"):
        designed(data, table, n_genes=10, cost_key="price", budget=5.0)


def test_genes_that_exist_already_cost_nothing(data):
    table = pd.DataFrame({"price": np.where(data.names == "MARKER0X", 100.0, 1.0)}, index=data.names)
    design = designed(data, table, n_genes=10, extend=["MARKER0X"], cost_key="price", budget=10.0)
    assert tables(design)["caps"]["used"].tolist() == [10.0]
    with pytest.raises(panel.InfeasibleError):
        designed(data, table, n_genes=10, include=["MARKER0X"], cost_key="price", budget=10.0)


def test_thrift_finds_more_than_greed_under_a_cap(data):
    """One gene that fills the cap against many that do nearly as much."""
    table = pd.DataFrame({"price": [9.0 if n.endswith("X") else 1.0 for n in data.names]}, index=data.names)
    design = designed(data, table, n_genes=8, cost_key="price", budget=16.0)
    assert sum(name.endswith("X") for name in names(design)) <= 1
    assert sum(name.startswith("MARKER") for name in names(design)) >= 6


def test_weights_move_the_choice(data):
    table = pd.DataFrame({"liking": [1e6 if n == "NOISE40" else np.nan for n in data.names]}, index=data.names)
    assert names(designed(data, table, n_genes=3, weight_key="liking"))[0] == "NOISE40"


def test_positive_only_leaves_out_genes_that_stand_out_by_absence(rng):
    adata = planted(rng, groups=("A", "B", "C", "D", "E"))
    lacking = adata.obs["cell_type"] == "C"
    dense = adata.X.toarray()
    dense[:, 30] = np.where(lacking, 0, rng.poisson(8, len(lacking)))
    adata.X = type(adata.X)(dense)
    data = read(adata, {"groupby": "cell_type"})
    assert "NOISE30" in names(designed(data, n_genes=8))
    assert "NOISE30" not in names(designed(data, n_genes=20, positive_only=True))


def two_levels(data):
    fine = np.where(data.group == 0, data.matrix[:, 40].toarray().ravel() > 0, data.group + 1).astype(int)
    return [
        panel.Level("broad", data.group, data.groups),
        panel.Level("fine", fine, np.array(["A1", "A2", "B", "T"], dtype=object), weight=1.0),
    ]


def test_pairs_exist_within_columns_and_columns_weigh_what_they_are_told(data):
    levels = two_levels(data)
    levels[1] = panel.Level("fine", levels[1].code, levels[1].classes, weight=3.0)
    problem = prepare(data, levels, panel.Request(n_genes=5))
    column = problem.classes.levels
    assert (column[problem.objective.first] == column[problem.objective.second]).all()
    assert np.isclose(problem.objective.weight[column[problem.objective.first] == "fine"].sum(), 0.75)
    assert len(problem.objective.first) == 3 + 6


def test_a_column_of_weight_0_changes_nothing(data):
    levels = two_levels(data)
    levels[1] = panel.Level("fine", levels[1].code, levels[1].classes, weight=0.0)
    design = panel.design(prepare(data, levels, panel.Request(n_genes=9)))
    assert design.panel.tolist() == panel.choose(9)(data).tolist()


def test_the_sums_of_two_columns_from_one_pass_are_those_of_each(data):
    levels = two_levels(data)
    problem = prepare(data, levels, panel.Request(n_genes=5))
    for level in levels:
        span = problem.classes.spans[level.name]
        stats = data.stats_by(level.code, len(level.classes))
        assert np.array_equal(problem.expressed.stats.detected[span], stats.detected)
        assert np.allclose(problem.objective.profiles.mean[span], stats.mean)


def test_ignored_classes_are_in_no_pair_but_under_the_cap(data):
    design = designed(data, n_genes=6, ignore=["B / b"], max_transcripts=12.0)
    assert len(design.objective.first) == 1
    assert counts_per_cell(data)[:, design.panel].sum(axis=1).max() <= 12
    with pytest.raises(KeyError, match="did you mean|Did you mean"):
        designed(data, n_genes=6, ignore=["B / c"])
    with pytest.raises(ValueError, match="no pair of classes is left"):
        designed(data, n_genes=6, ignore=["B / b", "A"])


def test_weights_of_pairs_multiply(data):
    plain = designed(data, n_genes=2).objective
    options = {"class_weights": {"A": 2.0}, "pair_weights": {("CD4+ T", "A"): 5.0}, "prior": 1.0}
    weighted = designed(data, n_genes=2, **options).objective
    share = data.stats.cells / data.stats.cells.sum()
    expected = [2 * np.sqrt(share[0] * share[1]), 10 * np.sqrt(share[0] * share[2]), np.sqrt(share[1] * share[2])]
    assert np.allclose(plain.weight, 1 / 3)
    assert np.allclose(weighted.weight, np.array(expected) / sum(expected))


def test_batches_are_blocks_of_an_additive_model(adata, rng):
    batch = rng.integers(0, 3, adata.n_obs)
    adata.obs["batch"] = [f"b{i}" for i in batch]
    data = read(adata, {"groupby": "cell_type", "batch_key": "batch"})
    profiles = prepare(data, [panel.Level("x", data.group, data.groups)], panel.Request(n_genes=2)).objective.profiles
    design = np.hstack([np.eye(3)[data.group], np.eye(3)[batch]])
    e = data.host_expression(np.arange(60)).astype(float)
    fitted = np.linalg.lstsq(design, e, rcond=None)[0]
    assert np.allclose(np.diff(profiles.mean, axis=0), np.diff(fitted[:3], axis=0), atol=1e-6)
    residual = (e - (np.eye(3)[batch] @ fitted[3:])) - (fitted[:3])[data.group]
    expected = np.array([residual[data.group == c].var(axis=0) for c in range(3)])
    assert np.allclose(profiles.variance, expected, atol=1e-5)


def test_a_gene_of_one_batch_does_not_separate_classes_that_batches_hold_unevenly(rng):
    adata = planted(rng, n_cells=600)
    group = adata.obs["cell_type"].cat.codes.to_numpy()
    batch = (rng.random(600) < np.where(group == 0, 0.9, 0.1)).astype(int)
    dense = adata.X.toarray()
    dense[:, 50] = rng.poisson(np.where(batch == 1, 8.0, 0.2))
    adata.X = type(adata.X)(dense)
    adata.obs["batch"] = batch.astype(str)
    sources = ({"groupby": "cell_type"}, {"groupby": "cell_type", "batch_key": "batch"})
    confounded, blocked = (designed(read(adata, source), n_genes=6).objective for source in sources)
    assert confounded.gains(confounded.depth(), [50])[0] > 0.2
    assert blocked.gains(blocked.depth(), [50])[0] < 0.02


def test_batches_without_a_common_class_are_a_warning(adata):
    adata.obs["batch"] = np.where(adata.obs["cell_type"] == "A", "one", "two")
    data = read(adata, {"groupby": "cell_type", "batch_key": "batch"})
    with pytest.warns(UserWarning, match="2 parts that share no class"):
        designed(data, n_genes=3)


def test_a_gene_of_one_donor_is_rejected_by_the_sample_rule(rng):
    adata = planted(rng, n_cells=800)
    dense = adata.X.toarray()
    only = (adata.obs["cell_type"] == "A") & (adata.obs["sample"] == "donor0")
    dense[:, 50] = np.where(only, rng.poisson(60, 800), 0)
    adata.X = type(adata.X)(dense)
    free = designed(read(adata, {"groupby": "cell_type"}), n_genes=10)
    ruled = designed(read(adata, {"groupby": "cell_type", "sample_key": "sample"}), n_genes=10)
    assert free.objective.gains(free.objective.depth(), [50])[0] > 0.01
    assert ruled.objective.gains(ruled.objective.depth(), [50])[0] == 0
    assert sum(name.startswith("MARKER") for name in names(ruled)) >= 8


def test_sample_limits_count_samples(rng):
    means, counts = rng.normal(size=(2, 7, 30)), rng.random((2, 7)) < 0.8
    low, high = sample_limits(means, counts, means.mean(axis=1), 0.7)
    for c, g in np.ndindex(2, 30):
        spoken = means[c, counts[c], g]
        for middle in rng.normal(size=5):
            assert (low[c, g] > middle) == (np.mean(spoken > middle) >= 0.7)
            assert (high[c, g] < middle) == (np.mean(spoken < middle) >= 0.7)


def test_counts_are_asked_for_where_they_are_needed(adata):
    adata.X = adata.X.log1p()
    data = read(adata, {"groupby": "cell_type", "normalize": False})
    for options in ({"max_transcripts": 10.0}, {"mean_counts": (0, 1)}, {"max_counts": (0, 1)}):
        with pytest.raises(ValueError, match="in counts per cell, but the data are log-normalised"):
            designed(data, n_genes=5, **options)
    assert len(designed(data, n_genes=5).panel) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"include": ["MARKER0"]}, "did you mean"),
        ({"include": ["MARKER0X"], "exclude": ["MARKER0X"]}, "included and excluded at once: MARKER0X"),
        ({"n_genes": 0}, "at least one gene"),
        ({"mean_counts": (3, 1)}, "no number lies between"),
        ({"mean_counts": 3}, "give \\(low, high\\)"),
        ({"limits": {"probes": (1, 2)}}, "no column 'probes'"),
        ({"tau": 0}, "must be above 0"),
        ({"sample_fraction": 70}, "not a percentage"),
        ({"class_weights": {"A": -1}}, "not negative"),
        ({"min_markers": {"fine": 1}}, "not a label column"),
        ({"ignore": "A"}, "one string"),
        ({"n_gene": 3}, "a panel has no option n_gene"),
    ],
)
def test_complaints_name_the_thing(data, options, message):
    with pytest.raises((ValueError, KeyError, TypeError), match=message):
        designed(data, **{"n_genes": 5, **options})
