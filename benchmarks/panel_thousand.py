"""A panel of 1,000 genes for 500 classes in two label columns: the whole design, from sums per class to its tables.

The sums are simulated as in `benchmarks.panel`, so that the time is that of the design alone: the choice under caps,
the exchanges, the substitutes, the certificate.
"""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import numpy as np

from benchmarks import record
from benchmarks.panel import peak_mib, profiles, rates
from smash_gpu.compute.cores import cores

CELLS = 20  # per class
BRIGHT = 30.0  # counts per cell
SIZES = (5_000, 18_000)


def main(arguments: list[str]) -> None:
    """Design the panels, print and append one line each."""
    options = record.parser("panel_thousand")
    options.add_argument("--genes", type=int, nargs="+", default=list(SIZES))
    options.add_argument("--picks", type=int, default=1_000)
    options.add_argument("--broad", type=int, default=20)
    options.add_argument("--within", type=int, default=25, help="sub-types in each broad class")
    options.add_argument("--max-transcripts", type=float, nargs="+", default=[0.0, 600.0], help="0 for no cap")
    options.add_argument("--seed", type=int, default=30)
    options = options.parse_args(arguments)
    for n_genes in options.genes:
        for cap in options.max_transcripts:
            row = run(sums(options, n_genes), options.picks, cap or None)
            row["problem"] |= {"seed": options.seed}
            record.write(options.json, [row])
            print(row)


def sums(options: SimpleNamespace, n_genes: int) -> tuple[SimpleNamespace, list]:
    """What `prepare` asks of a data set, and the two label columns."""
    from smash_gpu.data.stats import GroupStats
    from smash_gpu.panel import Level

    rate = rates(np.random.default_rng(options.seed), options.broad, options.within, n_genes)
    rate[:, rate.max(axis=0) > BRIGHT] *= BRIGHT / rate.max(axis=0)[rate.max(axis=0) > BRIGHT]
    mean, variance = profiles(rate)
    cells = np.full(len(rate), CELLS)
    detected = (1 - (1 + rate / 2) ** -2.0) * CELLS
    stats = GroupStats(cells, np.rint(detected).astype(int), rate * CELLS, mean * CELLS, (variance + mean**2) * CELLS)
    fine = np.arange(len(rate)).repeat(CELLS)
    names = np.array([f"G{i}" for i in range(n_genes)], dtype=object)
    data = SimpleNamespace(
        sample=None, batch=None, names=names, symbols=names, ids=None, device="cpu",
        known=SimpleNamespace(why_no_counts=""), stats_by=lambda code, n: stats,
    )  # fmt: skip
    broad = fine // options.within
    codes = {"broad": broad, "fine": fine}
    levels = [
        Level(name, code, np.array([f"{name}{i}" for i in range(code.max() + 1)], dtype=object))
        for name, code in codes.items()
    ]
    return (data, levels)


def run(made: tuple, picks: int, cap: float | None) -> dict:
    """One design, timed from the sums to the tables."""
    from smash_gpu import panel
    from smash_gpu.panel.tables import tables

    data, levels = made
    before = peak_mib(reset=True)
    start, processor = time.perf_counter(), time.process_time()
    problem = panel.prepare(
        data, levels, panel.Request.of({"n_genes": picks, "max_transcripts": cap, "exclude_families": ()})
    )
    prepared = time.perf_counter() - start
    found = panel.design(problem)
    chosen = time.perf_counter() - start
    written = tables(found)
    seconds = time.perf_counter() - start
    last = written["curve"].iloc[-1]
    used = float(problem.expressed.counts_per_cell()[:, found.panel].sum(axis=1).max())
    return {
        "benchmark": "panel_thousand",
        "problem": {
            "classes": [len(level.classes) for level in levels], "pairs": len(problem.objective.weight),
            "genes": len(data.names), "picks": picks, "max_transcripts": cap,
        },
        "prepared_s": prepared, "chosen_s": chosen, "seconds": seconds,
        "processor_s": time.process_time() - processor, "load_average": os.getloadavg()[0], "threads": cores(),
        "peak_mib": peak_mib(), "peak_mib_above_input": peak_mib() - before,
        "resolution": float(last["resolution"]), "of_bound": float(last["of_bound"]), "fullest_class": used,
        "substitutes": int((written["genes"]["substitute"] != "").sum()),
    }  # fmt: skip
