"""Gene families, species and genes by name."""

from __future__ import annotations

import numpy as np
import pytest

from smash_gpu.genes import names as gene_names

OF_ONE_SPECIES = list(gene_names.FAMILIES["human"])
FAMILIES_BUT_HOUSEKEEPING = [name for name in gene_names.FAMILY_NAMES if name != "housekeeping"]
GENERAL = {
    ("human", "mitochondrial"): "MT-CO1 MT-ND4L MT-ATP6 MT-RNR2",
    ("human", "ribosomal"): "RPS4X RPS4Y1 RPL36AL RPLP0 RPLP1 RPLP2 RPSA RPL13A RPS27A RPL39L RPS27L RPS10P7 RPL23AP42",
    ("human", "heat_shock"): "HSPA1A HSP90AB1 HSP90B1 HSPD1 HSPE1 HSPH1 HSPB1 HSPA8",
    ("human", "hla"): "HLA-A HLA-DRB1 HLA-E",
    ("mouse", "mitochondrial"): "mt-Co1 mt-Nd5 mt-Cytb",
    ("mouse", "ribosomal"): "Rps27 Rps4x Rpl36al Rplp0 Rpsa Rpl13a Rps27l Rps18-ps3",
    ("mouse", "heat_shock"): "Hspa1a Hsp90ab1 Hspd1 Hspe1 Hspb1 Hspa8",
    ("mouse", "hla"): "H2-K1 H2-Aa H2-DMb1 H2-Eb1",
}
SPECIFIC = {
    "human": "MTOR MTHFR MTAP MTRNR2L1 MT1X MT2A RPS6KA1 RPS6KB2 RPS19BP1 RPL7L1 RPE MRPL12 MRPS6 RPTOR HSPG2 HSPBP1 "
    "HSPBAP1 HLF HLX H2AZ1 MS4A1 RPN1",
    "mouse": "Mtor Mthfr Mtap Mt1 Mt2 Rps6ka1 Rps19bp1 Rpl7l1 Mrpl12 Hspg2 Hspbp1 Hlf H2afz H2az1 Ms4a1 Rpn1",
}


def in_family(name, symbols, species):
    symbols = np.array(symbols, dtype=object)
    return symbols[gene_names.family(name, symbols, species)].tolist()


@pytest.mark.parametrize(("species", "name"), GENERAL)
def test_general_genes_are_in_their_family(species, name):
    members = GENERAL[species, name].split()
    assert in_family(name, members, species) == members


@pytest.mark.parametrize("species", SPECIFIC)
@pytest.mark.parametrize("name", FAMILIES_BUT_HOUSEKEEPING)
def test_genes_that_only_begin_like_a_family_stay(species, name):
    assert in_family(name, SPECIFIC[species].split(), species) == []


@pytest.mark.parametrize(("species", "name"), GENERAL)
def test_a_gene_is_in_one_family_only(species, name):
    members = GENERAL[species, name].split()
    for other in set(FAMILIES_BUT_HOUSEKEEPING) - {name}:
        assert in_family(other, members, species) == []


@pytest.mark.parametrize("name", OF_ONE_SPECIES)
def test_a_pattern_is_of_one_species(name):
    assert in_family(name, GENERAL["human", name].split(), "mouse") == []
    assert in_family(name, GENERAL["mouse", name].split(), "human") == []


def test_the_mouse_genes_of_rps3a_are_ribosomal():
    """Mouse has Rps3a1 (and Rps3a2, Rps3a3) where human has RPS3A; zeisel holds it."""
    assert in_family("ribosomal", ["Rps3a1"], "mouse") == ["Rps3a1"]


@pytest.mark.parametrize(("species", "gene"), [("human", "RPSAP58"), ("human", "RPLP0P6"), ("mouse", "Rplp2-ps1")])
def test_pseudogenes_of_the_acidic_proteins_are_ribosomal_as_those_of_the_numbered(species, gene):
    """RPS10P7 and Rps18-ps3 go; pbmc3k holds RPSAP58, zeisel Rplp2-ps1."""
    assert in_family("ribosomal", [gene], species) == [gene]


def test_housekeeping_genes_of_the_human_list_are_all_known():
    assert in_family("housekeeping", [*gene_names.HOUSEKEEPING, "MS4A1", "Actb"], "human") == gene_names.HOUSEKEEPING
    assert {"ACTB", "GAPDH", "B2M", "UBC", "C1orf43"} <= set(gene_names.HOUSEKEEPING)
    assert len(set(gene_names.HOUSEKEEPING)) == len(gene_names.HOUSEKEEPING)


def test_housekeeping_genes_are_known_by_their_mouse_symbols():
    mouse = ["Actb", "Gapdh", "B2m", "Ubc", "Hprt", "Hmbs", "Rpl13a", "4933434E20Rik"]
    assert in_family("housekeeping", [*mouse, "Ms4a1", "ACTB"], "mouse") == mouse


@pytest.mark.parametrize("gene", ["Gpi1", "Rab7"])
def test_housekeeping_genes_with_another_symbol_in_mouse_are_known(gene):
    """As spelled in mm10 annotations: Gpi1 in paul15 and zeisel, Rab7 in pancreas_endocrinogenesis."""
    assert in_family("housekeeping", [gene], "mouse") == [gene]


MITOCHONDRIAL = {
    "human": "MT-CO1 MT-ND4L",
    "mouse": "mt-Co1 mt-Cytb",
    "rat": "Mt-co1 Mt-nd1 Mt-cyb",
    "fly": "mt:CoI mt:ND1 mt:lrRNA",
    "human through R": "MT.CO1 MT.ND4L",
    "mouse through R": "mt.Co1",
    "underscores": "MT_CO1 mt_Co1",
}


@pytest.mark.parametrize("species", ["human", "mouse", None])
@pytest.mark.parametrize("genes", MITOCHONDRIAL.values(), ids=MITOCHONDRIAL)
def test_mitochondrial_genes_are_known_in_every_spelling_and_species(genes, species):
    others = ["MTOR", "Mtor", "MT1X", "Mt1", "Mt2", "MTRNR2L1", "SMT-1", "mTerf3"]
    assert in_family("mitochondrial", [*genes.split(), *others], species) == genes.split()


@pytest.mark.parametrize(
    ("species", "name", "genes"),
    [
        ("human", "hla", "HLA.A HLA_DRA"),
        ("mouse", "hla", "RT1-A2 RT1-Da RT1.A2 H2.K1"),
        ("mouse", "ribosomal", "Rps18.ps3"),
        ("mouse", "housekeeping", "Hprt1 Gpi Rab7a X4933434E20Rik"),
    ],
)
def test_families_are_known_in_rat_and_as_r_writes_them(species, name, genes):
    assert in_family(name, genes.split(), species) == genes.split()


@pytest.mark.parametrize("name", [*OF_ONE_SPECIES, "housekeeping"])
def test_an_unknown_species_has_no_families_but_the_mitochondrial(name):
    assert in_family(name, ["MT-CO1", "mt-Co1", "RPLP0", "ACTB"], None) == []


@pytest.mark.parametrize(
    ("symbols", "species"),
    [
        ("MS4A1 CD3E C1orf43 HLA-A AL627309.1", "human"),
        ("Ms4a1 Cd3e mt-Co1 H2-K1 0610007L01Rik", "mouse"),
        ("Mt-co1 Mt-nd1 RT1-A2 Cd3e Ms4a1", "mouse"),  # rat
        ("cgene001 cgene002 cgene003", None),
        ("1 2 3", None),
    ],
)
def test_species_is_read_from_the_case_of_the_names(symbols, species):
    assert gene_names.detect_species(symbols.split()) == species


def test_no_names_tell_no_species():
    assert gene_names.detect_species([]) is None


@pytest.mark.parametrize("name", ["pbmc3k", "kang_muscat", "onek1k_40donors", "paul15", "zeisel", "citeseq_cbmc"])
def test_species_of_real_data(shared, name):
    expected = {"paul15": "mouse", "zeisel": "mouse", "citeseq_cbmc": None}.get(name, "human")
    assert gene_names.detect_species(shared(name).var_names) == expected


def test_ensembl_ids_of_any_species_are_recognised():
    assert gene_names.are_ensembl_ids(["ENSG00000156738", "ENSG00000198851.7", "MS4A1"])
    assert gene_names.are_ensembl_ids(["ENSMUSG00000024673"])
    assert not gene_names.are_ensembl_ids(["MS4A1", "ENSA", "ENSG00000156738"])


def test_what_a_caller_does_to_a_mask_changes_no_later_answer():
    symbols = np.array(["MT-CO1", "ACTB", "CD3D"], dtype=object)
    gene_names.family("mitochondrial", symbols, "human")[:] = False
    assert gene_names.family("mitochondrial", symbols, "human").tolist() == [True, False, False]
