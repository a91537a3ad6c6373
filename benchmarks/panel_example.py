"""100 genes added to an existing panel of 300, with a cap on crowding: an example of the site.

The existing panel separates the seven broad types of Zeisel's mouse cortex. The add-on must separate the 46 sub-types,
and no class may have more than 1.1 times the transcripts of the fullest class with the existing panel. All genes are
chosen on the training cells of three stratified 70/30 splits, and evaluated by kNN(3) on the held-out cells.
"""

from __future__ import annotations

import warnings

import numpy as np

from benchmarks import record

PRINTED, ADDED, ROOM, BRIGHTEST = 300, 100, 1.1, 30.0


def main(arguments: list[str]) -> None:
    """Run, print and append one line per panel."""
    options = record.parser("panel_example").parse_args(arguments)
    warnings.simplefilter("ignore")
    rows = run(options.data)
    record.write(options.json, rows)
    for row in rows:
        print(row)


def run(folder) -> list[dict]:
    """The existing panel alone, with an uncapped add-on, with a capped add-on, and with as many random genes."""
    import anndata as ad

    from smash_gpu import evaluation
    from smash_gpu.annotated.read import groups_of, read
    from smash_gpu.data import splits

    adata = ad.read_h5ad(folder / "zeisel.h5ad")
    adata = adata[adata.obs["cell_subtype"] != "(none)"].copy()
    data = read(adata, {"groupby": "cell_subtype", "min_cells": 10})
    broad = groups_of(adata, "cell_type")
    found = {name: [] for name in ("printed", "capped", "free", "random")}
    for number, split in enumerate(splits.repeated(data.labels, n_splits=3, test_fraction=0.3, random_state=0)):
        panels = designs(data.only(data.cells[split.train]), broad, np.random.default_rng(number))
        for name, panel in panels.items():
            X = data.host_expression(panel["genes"])
            predicted = evaluation.predict(X, data.labels, split, scale_on_all=False)
            error = evaluation.metrics_of_labels(data.labels[split.test], predicted)
            found[name].append({"n_genes": len(panel["genes"]), **error, **panel["facts"]})
    problem = {"set": "zeisel", "printed": PRINTED, "added": ADDED, "room": ROOM, "brightest": BRIGHTEST, "splits": 3}
    return [
        {"benchmark": "panel_example", "problem": problem, "panel": name}
        | {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        for name, rows in found.items()
    ]


def designs(data, broad: tuple, rng: np.random.Generator) -> dict[str, dict]:
    """The four panels, chosen on these cells, with the transcripts of the fullest class and the resolution."""
    from smash_gpu import panel
    from smash_gpu.panel.tables import curve_table

    code, names = broad
    code = np.where(data.group >= 0, code, -1)
    levels = [panel.Level("cell_type", code, names), panel.Level("cell_subtype", data.group, data.groups)]

    def design(levels, **options):
        request = panel.Request.of({"max_counts": (None, BRIGHTEST), **options})
        return panel.design(panel.prepare(data, levels, request))

    printed = design(levels[:1], n_genes=PRINTED).panel
    addition = {"n_genes": ADDED, "extend": data.names[printed]}
    free = design(levels, **addition)
    counts = free.problem.expressed.counts_per_cell()
    cap = ROOM * counts[:, printed].sum(axis=1).max()
    capped = design(levels, max_transcripts=cap, **addition)
    others = np.setdiff1d(np.flatnonzero(counts.max(axis=0) <= BRIGHTEST), printed)
    random = np.append(printed, rng.choice(others, ADDED, replace=False))

    def facts(genes, resolution):
        return {
            "genes": genes,
            "facts": {"fullest_class": counts[:, genes].sum(axis=1).max(), "resolution": resolution},
        }

    curves = {"free": curve_table(free)["resolution"], "capped": curve_table(capped)["resolution"]}
    whole = free.objective.value_of_all()
    return {
        "printed": facts(printed, curves["free"].iloc[0]),
        "capped": facts(capped.whole, curves["capped"].iloc[-1]),
        "free": facts(free.whole, curves["free"].iloc[-1]),
        "random": facts(random, free.objective.value(free.objective.depth(random)) / whole),
    }
