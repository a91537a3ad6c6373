"""Fewer probe sets for bright genes, against leaving them out: 100 genes for 46 sub-types of Zeisel under three caps.

Genes and numbers of probe sets are chosen on the training cells of stratified 70/30 splits. A cap is a share of the
transcripts that the panel without a cap carries in its fullest class. Resolution is that of the design. kNN(3) judges
the held-out cells, with counts of all cells thinned to the share p / P of the sets that each gene got (binomial).

The last lines check the rule for the separation with fewer sets: the genes' separations in thinned counts, over those
that the rule says.
"""

from __future__ import annotations

import time
import warnings

import numpy as np

from benchmarks import record

GENES, SETS, CAPS, SPLITS, SEED = 100, (2, 8), (0.1, 0.2, 0.4), 3, 30
SHARES = (0.25, 0.5)
DIM = 0.2  # mean counts per cell; dimmer genes are left out


def main(arguments: list[str]) -> None:
    """Run, print and append one line per split, cap and kind of panel, and one per split and share of the check."""
    options = record.parser("probe_sets")
    options.add_argument("--splits", type=int, nargs="+", default=list(range(SPLITS)))
    options = options.parse_args(arguments)
    warnings.simplefilter("ignore")
    for number in options.splits:
        rows = run(options.data, number)
        record.write(options.json, rows)
        for row in rows:
            print(row)


def run(folder, number: int) -> list[dict]:
    """All panels on one split."""
    import anndata as ad

    from smash_gpu.annotated.read import read
    from smash_gpu.data import splits

    adata = ad.read_h5ad(folder / "zeisel.h5ad")
    adata = adata[adata.obs["cell_subtype"] != "(none)"].copy()
    data = read(adata, {"groupby": "cell_subtype", "min_cells": 10})
    counts = adata.X.tocsr()[data.cells] if hasattr(adata.X, "tocsr") else adata.X[data.cells]
    split = list(splits.repeated(data.labels, n_splits=SPLITS, test_fraction=0.3, random_state=SEED))[number]
    rng, part = np.random.default_rng(SEED + number), data.only(data.cells[split.train])
    problem = {"set": "zeisel", "genes": GENES, "probe_sets": SETS, "dim": DIM, "seed": SEED, "split": number}
    rows = []
    for (cap, kind), design, seconds in designs(part):
        found = facts(design) | judged(design, counts, data, split, rng) | {"seconds": seconds}
        rows.append({"benchmark": "probe_sets", "problem": problem | {"cap": cap}, "panel": kind} | found)
    for share in SHARES:
        found = check(design, share, counts[split.train], data.labels[split.train], rng)
        said = {"benchmark": "probe_sets", "problem": problem | {"share": share}, "panel": "check of the rule"}
        rows.append(said | found)
    return rows


def designs(part):
    """The panel without a cap; under each cap with whole genes only, and with a choice of probe sets."""
    from smash_gpu import panel

    levels = [panel.Level("cell_subtype", part.group, part.groups)]

    def designed(**options):
        start = time.perf_counter()
        problem = panel.prepare(
            part, levels, panel.Request.of({"n_genes": GENES, "mean_counts": (DIM, None)} | options)
        )
        return panel.design(problem), time.perf_counter() - start

    free, seconds = designed()
    yield (None, "no cap"), free, seconds
    fullest = free.problem.expressed.counts_per_cell()[:, free.panel].sum(axis=1).max()
    for share in CAPS:
        yield (share, "all sets or none"), *designed(max_transcripts=share * fullest)
        yield (share, "2 to 8 sets"), *designed(max_transcripts=share * fullest, probe_sets=SETS)


def facts(design) -> dict:
    """Resolution, its bound, and the transcripts of the fullest class."""
    from smash_gpu.panel.tables import curve_table

    last = curve_table(design).iloc[-1]
    share = shares(design)
    counts = design.problem.expressed.counts_per_cell()[:, design.panel]
    return {
        "resolution": float(last["resolution"]), "of_bound": float(last["of_bound"]),
        "fullest_class": float((counts * share).sum(axis=1).max()), "mean_sets": float(SETS[1] * share.mean()),
        "genes_with_fewer": float((share < 1).sum()),
    }  # fmt: skip


def shares(design) -> np.ndarray:
    """Share of the probe sets that each gene got."""
    return np.ones(len(design.panel)) if design.probe_sets is None else design.probe_sets / SETS[1]


def judged(design, counts, data, split, rng) -> dict:
    """Errors of kNN(3) on held-out cells, from thinned counts."""
    from smash_gpu import evaluation

    X = thinned(counts, design.panel, shares(design), rng)
    predicted = evaluation.predict(X, data.labels, split, scale_on_all=False)
    return evaluation.metrics_of_labels(data.labels[split.test], predicted)


def thinned(counts, genes, share, rng) -> np.ndarray:
    """log(1 + counts per 10⁴) of the genes if each count is seen with its gene's probability; cells × genes.

    Divided by the share, so that the mean of the counts is the same; the library size is that of all genes.
    """
    library = np.asarray(counts.sum(axis=1)).ravel()
    some = counts[:, genes]
    some = some.toarray() if hasattr(some, "toarray") else np.asarray(some)
    seen = rng.binomial(np.rint(some).astype(int), share) / share
    return np.log1p(1e4 * seen / library[:, None]).astype(np.float32)


def check(design, share: float, counts, group, rng) -> dict:
    """Separations of the panel's genes in thinned counts over those of the rule, for pairs that the rule separates."""
    sets, objective = design.problem.probe_sets, design.problem.with_most_probe_sets.objective
    X = thinned(counts, design.panel, np.full(len(design.panel), share), rng).astype(float)
    mean = np.stack([X[group == c].mean(axis=0) for c in range(group.max() + 1)])
    variance = np.stack([X[group == c].var(axis=0) for c in range(group.max() + 1)])
    first, second = objective.first, objective.second
    seen = (mean[first] - mean[second]) ** 2 / (variance[first] + variance[second] + 0.05)
    said = np.stack([sets.separation(objective, int(g), share * SETS[1]) for g in design.panel], axis=1)
    whole = np.stack([objective.separation(int(g)) for g in design.panel], axis=1)
    far = whole > 0.5
    seen_share, said_share = seen[far] / whole[far], said[far] / whole[far]
    return {
        "pairs_and_genes": float(far.sum()), "kept_in_thinned_counts": float(np.median(seen_share)),
        "kept_by_the_rule": float(np.median(said_share)),
        "correlation_of_separations": float(np.corrcoef(seen[far], said[far])[0, 1]),
        "ratio_low": float(np.quantile(seen_share / said_share, 0.1)),
        "ratio_median": float(np.median(seen_share / said_share)),
        "ratio_high": float(np.quantile(seen_share / said_share, 0.9)),
    }  # fmt: skip
