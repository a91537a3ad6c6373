"""Quotas: at least and at most so many genes of a group, against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from cases.panels import designed, names
from hypothesis import given, settings
from hypothesis import strategies as st

from smash_gpu import panel
from smash_gpu.annotated.read import read
from smash_gpu.panel.substitutes import exchanges, substitutes
from smash_gpu.panel.tables import tables

N_GENES = 11


@pytest.fixture(scope="module")
def small(made_once):
    return read(made_once[:, :N_GENES].copy(), {"groupby": "cell_type"})


@pytest.fixture(scope="module")
def made_once():
    from cells import planted

    return planted(np.random.default_rng(5))


@st.composite
def quotas(draw):
    """One to three groups of the first genes, which may overlap, with ranges."""
    found = {}
    for name in draw(st.sampled_from(["a", "ab", "abc"])):
        genes = draw(st.sets(st.integers(0, N_GENES - 1), min_size=1, max_size=6))
        low = draw(st.integers(0, 3))
        found[name] = (sorted(genes), low, draw(st.one_of(st.none(), st.integers(low, 4))))
    return found


def keeps(chosen, groups):
    held = {name: len(set(chosen) & set(genes)) for name, (genes, _, _) in groups.items()}
    return all(low <= held[name] <= (np.inf if high is None else high) for name, (_, low, high) in groups.items())


GIVEN = st.sampled_from([{}, {"include": [3]}, {"extend": [2]}])


@pytest.mark.slow
@given(groups=quotas(), cap=st.sampled_from([None, 9.0]), given_genes=GIVEN)
@settings(max_examples=60)
def test_a_panel_keeps_its_quotas_if_there_is_one(small, groups, cap, given_genes):
    """Exactly N genes within all quotas and caps, a bound above the best of all panels, and an error if none does."""
    by_name = {what: small.names[genes] for what, genes in given_genes.items()}
    options = {"n_genes": 4, "max_transcripts": cap, **by_name}
    free = designed(small, **options).problem
    must, existing = given_genes.get("include", []), given_genes.get("extend", [])
    panels = [
        p
        for p in combinations(np.setdiff1d(range(N_GENES), existing), 4)
        if set(must) <= set(p)
        and keeps([*p, *existing], groups)
        and (free.caps.used([*p, *existing]) <= free.caps.limit).all()
    ]
    asked = {name: (small.names[genes], low, high) for name, (genes, low, high) in groups.items()}
    if not panels:
        with pytest.raises(panel.InfeasibleError):
            designed(small, **options, quotas=asked)
        return
    design = designed(small, **options, quotas=asked)
    best = max(design.objective.value(design.objective.depth([*p, *existing])) for p in panels)
    assert tuple(sorted(design.panel)) in panels
    assert design.value[-1] <= best + 1e-12 <= design.bound[-1] + 2e-12
    for instead in (substitutes(design), exchanges(design)):
        for place, gene in enumerate(instead.gene):
            swapped = tuple(sorted([*np.delete(design.panel, place), gene]))
            assert gene < 0 or design.panel[place] in must or swapped in panels


def test_the_table_of_caps_counts_the_genes_of_the_group(data):
    design = designed(data, n_genes=6, quotas={"noise": (data.names[20:30], 2, 3), "all": (data.names, 5, None)})
    rows = tables(design)["caps"]
    assert rows["constraint"].tolist() == ["genes at most", "genes at least", "genes at least"]
    assert rows["of"].tolist() == ["noise", "noise", "all"]
    inside = sum(name in set(data.names[20:30]) for name in names(design))
    assert inside == 2
    assert rows["used"].tolist() == [2, 2, 6]
    assert rows["limit"].tolist() == [3, 2, 5]


def test_a_family_is_a_group(adata):
    adata.var_names = ["HLA-A", "HLA-B", "HLA-C", "CD4", "CD8A", *adata.var_names[5:].str.upper()]
    data = read(adata, {"groupby": "cell_type"})
    free = names(designed(data, n_genes=9))
    assert sum(name.startswith("HLA") for name in free) == 3
    held = names(designed(data, n_genes=9, quotas={"MHC": ("hla", None, 1)}))
    assert sum(name.startswith("HLA") for name in held) == 1


def test_a_quota_that_cannot_be_kept_is_named_with_what_would_do(data):
    """The number that the error gives can be kept, and the next one cannot."""
    asked = {"ligands": (data.names[:4], 4, None), "receptors": (data.names[20:25], 3, None)}
    with pytest.raises(panel.InfeasibleError, match="fit all quotas together") as caught:
        designed(data, n_genes=6, quotas=asked)
    rows = caught.value.certificate.set_index("of")
    assert rows.loc["ligands", ["asked", "possible"]].tolist() == [4, 3]
    assert rows.loc["receptors", ["asked", "possible"]].tolist() == [3, 2]
    assert "ask for at most 3 genes of ligands here" in str(caught.value)
    assert len(designed(data, n_genes=6, quotas=asked | {"ligands": (data.names[:4], 3, None)}).panel) == 6


def test_the_rule_that_empties_a_group_is_named(data):
    with pytest.raises(panel.InfeasibleError, match="too few genes for quotas: ligands") as caught:
        designed(data, n_genes=6, exclude=data.names[:2], quotas={"ligands": (data.names[:4], 3, None)})
    rows = caught.value.certificate.set_index("constraint")
    assert rows.loc["genes at least", ["asked", "possible"]].tolist() == [3, 2]
    assert rows.loc["excluded by the user", "possible"] == 4


def test_required_genes_beyond_a_quota_are_named(data):
    with pytest.raises(panel.InfeasibleError, match="must be in already exceed a quota") as caught:
        designed(data, n_genes=6, include=data.names[:3], quotas={"first": (data.names[:5], None, 2)})
    assert caught.value.certificate[["of", "asked", "possible"]].to_numpy().tolist() == [["first", 2, 3]]
    with pytest.raises(panel.InfeasibleError, match="at most 2 genes of first"):
        designed(data, n_genes=5, include=data.names[5:8], quotas={"first": (data.names[:5], 3, None)})


@pytest.mark.parametrize(
    ("quota", "message"),
    [
        ((["MARKER0X"], 1), "is not \\(genes, low, high\\)"),
        ((["MARKER0X"], 3, 1), "at least 3 and at most 1 genes; no number is both"),
        ((["MARKER0X"], 0.5, None), "is whole and 0 or more"),
        ((["MARKER0X"], "x", None), "not a number of genes"),
        (("ribosome", 1, None), "did you mean 'ribosomal'"),
    ],
)
def test_complaints_about_quotas_name_them(data, quota, message):
    with pytest.raises((ValueError, TypeError), match=f"(?i)quotas\\['x'\\].*{message}"):
        designed(data, n_genes=3, quotas={"x": quota})


def test_genes_of_a_group_that_the_data_lack_are_left_out_with_a_warning(data):
    with pytest.warns(UserWarning, match=r"quotas\['x'\]: 1 of 3 genes left out"):
        found = designed(data, n_genes=4, quotas={"x": ([*data.names[30:32], "NOT_HERE"], 2, None)})
    assert set(data.names[30:32]) <= set(names(found))


def test_the_table_says_what_the_panel_would_resolve_without_a_full_quota(data):
    asked = {"noise": (data.names[20:40], 3, None), "idle": (data.names, 1, None)}
    free, held = (tables(designed(data, n_genes=6, quotas=q)) for q in ({}, asked))
    rows = held["caps"].set_index("of")["resolution_without"]
    assert rows["noise"] == pytest.approx(free["curve"]["resolution"].iloc[-1])
    assert rows["noise"] > held["curve"]["resolution"].iloc[-1]
    assert np.isnan(rows["idle"])


def test_the_certificate_names_the_quota_that_costs_markers(data):
    """Nine markers of three classes are requested in nine places, of which a quota gives one to another gene."""
    design = designed(data, n_genes=9, min_markers=3, quotas={"noise": (data.names[20:40], 1, None)})
    found = tables(design)["certificate"]
    short = found[found["found"] < found["asked"]]
    assert (short["asked"] - short["found"]).sum() == 1
    assert short["reason"].str.contains("every choice of 9 genes within the quotas misses at least 1").all()
    assert short["way_out"].str.contains("without the quota 'noise' 0 are missing").all()
