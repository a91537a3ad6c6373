"""The greedy panel choice at atlas size: 1,000 classes × 20,000 genes × 300 picks, from simulated class statistics.

The statistics imitate counts of 3,000 molecules per cell: 40 broad classes with effects on a tenth of the genes, 25
sub-types in each with effects on a thirtieth, overdispersed counts.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from benchmarks import record
from smash_gpu.compute.cores import cores

MOLECULES = 3000.0


def main(arguments: list[str]) -> None:
    """Time the greedy choice, print and append one line."""
    options = record.parser("panel")
    options.add_argument("--broad", type=int, default=40)
    options.add_argument("--within", type=int, default=25, help="sub-types in each broad class")
    options.add_argument("--genes", type=int, default=20_000)
    options.add_argument("--picks", type=int, default=300)
    options = options.parse_args(arguments)
    row = run(options.broad, options.within, options.genes, options.picks)
    record.write(options.json, [row])
    print(row)


def run(broad: int, within: int, n_genes: int, picks: int) -> dict:
    """One problem, timed from statistics to the last pick and its bound."""
    from smash_gpu.panel.greedy import Gains
    from smash_gpu.panel.objective import Objective, tau_for
    from smash_gpu.panel.profiles import Profiles

    mean, variance = statistics(np.random.default_rng(0), broad, within, n_genes)
    names = np.array([f"G{i}" for i in range(n_genes)], dtype=object)
    first, second = np.triu_indices(len(mean), 1)
    weight = np.full(len(first), 1 / len(first))
    before = peak_mib(reset=True)
    start, processor = time.perf_counter(), time.process_time()
    gains = Gains(Objective(Profiles(mean, variance), first, second, weight, tau_for(picks)), names)
    first_look = time.perf_counter() - start
    free = np.ones(n_genes, dtype=bool)
    for _ in range(picks):
        gene = gains.best(free)
        free[gene] = False
        gains.take(gene)
    chosen = time.perf_counter() - start
    value = gains.objective.value(gains.depth)
    bound = min(1.0, value + float(gains.largest(free, picks).sum()))
    problem = {"classes": len(mean), "pairs": len(first), "genes": n_genes, "picks": picks, "tau": tau_for(picks)}
    return {
        "benchmark": "panel", "problem": problem, "first_look_s": first_look, "seconds": chosen,
        "with_bound_s": time.perf_counter() - start, "processor_s": time.process_time() - processor,
        "load_average": os.getloadavg()[0], "value": value, "value_over_bound": value / bound,
        "looks_per_pick": gains.n_recomputed / picks, "threads": cores(),
        "peak_mib_above_input": peak_mib() - before,
    }  # fmt: skip


def peak_mib(*, reset: bool = False) -> float:
    """Peak resident memory since the last reset, on Linux."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def statistics(rng: np.random.Generator, broad: int, within: int, n_genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of log-normalised expression; classes × genes."""
    return profiles(rates(rng, broad, within, n_genes))


def rates(rng: np.random.Generator, broad: int, within: int, n_genes: int) -> np.ndarray:
    """Mean counts per cell; classes × genes."""

    def effects(n: int, share: float, size: float) -> np.ndarray:
        return rng.normal(0, size, (n, n_genes)) * (rng.random((n, n_genes)) < share)

    log_rate = rng.normal(-2.0, 2.0, n_genes) + effects(broad, 0.1, 1.5).repeat(within, axis=0)
    return np.exp(np.minimum(log_rate + effects(broad * within, 1 / 30, 1.0), 5.0)) * MOLECULES / 1e4


def profiles(rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of log-normalised expression at mean counts per cell; classes × genes."""
    detected = 1 - (1 + rate / 2) ** -2.0  # negative binomial with size 2
    value = np.log1p(rate / detected * 1e4 / MOLECULES)
    return detected * value, detected * (1 - detected) * value**2 + 0.1 * detected
