"""Panels chosen on a reference, judged on the cells of three tissues by `tl.transfer`; one line per tissue, draw, list.

Every draw (a seed) takes 80 % of the reference's cells of each class, so that the lists of two draws differ. Balanced
accuracy is the mean of nearest neighbours and logistic regression. Genes are chosen among those that the tissue has.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import anndata as ad
import numpy as np

import smash_gpu as smg
from benchmarks import record

GROUPBY = "osmfish_class"
SIZES = (5, 10, 20, 30, 50, 100)
SEEDS = (71, 72)
KEPT = 40  # of the 50 cells of each class of the reference
CLASSIFIERS = ("knn", "logreg")
REFERENCE = {
    "Astrocyte1": "astrocyte", "Astrocyte2": "astrocyte", "Endothelial2": "endothelial", "Pvm": "immune",
    "Hippocampus_Excitatory": "excitatory", "S1_Excitatory_L23": "excitatory", "S1_Excitatory_L45a": "excitatory",
    "Interneuron": "inhibitory", "Oligo_MF": "oligodendrocyte", "Oligo_Mature": "oligodendrocyte", "Vsmc": "mural",
}  # fmt: skip
# labels that are not here have no class in the reference, or an uncertain one
TISSUES: dict[str, dict[str, str]] = {
    "starmap_mpfc166": {
        **dict.fromkeys(("eL2/3", "eL5-2", "eL5-3", "eL6-1", "eL6-2", "L5-1"), "excitatory"),
        **dict.fromkeys(("Lhx6", "SST", "NPY", "Reln", "VIP"), "inhibitory"),
        "Astro": "astrocyte", "Endo": "endothelial", "Oligo": "oligodendrocyte",
    },
    "merfish_poa155": {
        "Inhibitory": "inhibitory", "Excitatory": "excitatory", "Astrocyte": "astrocyte", "Microglia": "immune",
        "Endothelial 1": "endothelial", "Pericytes": "mural",
        **dict.fromkeys((f"OD Mature {number}" for number in range(1, 5)), "oligodendrocyte"),
    },
    "merfish_accumbens253": {
        "D1": "inhibitory", "D2": "inhibitory", "Endo": "endothelial", "Astro": "astrocyte", "Micro": "immune",
        "Oligo": "oligodendrocyte",
    },
}  # fmt: skip
LOGGED = ("merfish_accumbens253",)


def main(arguments: list[str]) -> None:
    """Judge both lists on the tissues, print and append the lines."""
    options = record.parser("spatial")
    options.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options.add_argument("--tissues", nargs="+", choices=TISSUES, default=list(TISSUES))
    options = options.parse_args(arguments)
    folder = options.data / "spatial"
    reference = ad.read_h5ad(folder / "ref_zeisel550.h5ad")
    for name in options.tissues:
        tissue = ad.read_h5ad(folder / f"{name}.h5ad")
        for seed in options.seeds:
            rows = judged(drawn(reference, seed), tissue, name, seed)
            record.write(options.json, rows)
            for row in rows:
                print(row)


def drawn(reference: ad.AnnData, seed: int) -> ad.AnnData:
    """As many cells of each class, at random."""
    rng = np.random.default_rng(seed)
    places = reference.obs.groupby(GROUPBY, observed=True).indices.values()
    return reference[np.sort(np.concatenate([rng.permutation(here)[:KEPT] for here in places]))].copy()


def judged(reference: ad.AnnData, tissue: ad.AnnData, name: str, seed: int) -> list[dict[str, Any]]:
    """One row per list and number of genes; the random panels are those of `tl.panel`'s list."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        smg.tl.transfer(
            reference, tissue, GROUPBY, genes={"tl.panel": designed, "Wilcoxon": wilcoxon}, n_genes=SIZES,
            mapping=REFERENCE, tissue_groupby="cell_type", tissue_mapping=TISSUES[name], classifier=CLASSIFIERS,
            n_random=3, random_state=seed, tissue_normalize=False if name in LOGGED else None,
        )  # fmt: skip
    seconds = time.perf_counter() - start
    table = smg.get.transfer(tissue).groupby(["genes", "n_genes"], sort=False)
    means = table[["balanced_accuracy", "random", "ceiling"]].mean()
    return [
        {"tissue": name, "seed": seed, "list": genes, "n_genes": int(n), "seconds_all": round(seconds, 1)}
        | {key: round(100 * value, 2) for key, value in row.items()}
        for (genes, n), row in means.iterrows()
    ]


def designed(cells: ad.AnnData, n_genes: int) -> list[str]:
    """One design per size would be better for each; prefixes of one nested list are judged here."""
    cells = cells.copy()
    smg.tl.panel(cells, GROUPBY, n_genes=n_genes, nested=True, exclude_families=())
    return list(smg.get.panel(cells))


def wilcoxon(cells: ad.AnnData, n_genes: int) -> list[str]:
    """The best of each class against the rest in turn."""
    import scanpy as sc

    cells = cells.copy()
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    sc.tl.rank_genes_groups(cells, GROUPBY, method="wilcoxon")
    names = cells.uns["rank_genes_groups"]["names"]
    turns = [gene for row in names for gene in row]
    return list(dict.fromkeys(turns))[:n_genes]
