"""Wall time and peak memory of the whole ``smash-gpu find`` process, compared with smashpy 0.1.2 if installed.

Neither plots the markers; smashpy makes the plots that it always makes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import record

SETS = {"paul15": "mouse", "citeseq_cbmc": "human", "zeisel": "mouse", "pbmc3k": "human"}
SMASHPY = Path(__file__).with_name("smashpy_baseline.py")


def main(arguments: list[str]) -> None:
    """Run every set with every model, ``--repeats`` times each; print and append a line per set, model and program."""
    options = record.parser("command")
    options.add_argument("--smashpy", type=Path, help="Python of an environment with smashpy 0.1.2")
    options.add_argument("--models", nargs="+", default=["dnn", "rf"])
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--table", action="store_true", help="only print the table of an earlier run's JSON lines")
    options = options.parse_args(arguments)
    if options.table:
        print(table(options.json))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, species in SETS.items():
            for model in options.models:
                rows += compare(name, species, model, options, Path(folder))
    record.write(options.json, rows)
    print(record.machine(), record.versions())


def compare(name: str, species: str, model: str, options, folder: Path) -> list[dict]:
    """One set and model, by both programs alternately."""
    data = options.data / f"{name}.h5ad"
    imports = "torch, " * (model == "dnn") + "sklearn.ensemble, anndata, smash_gpu"
    programs = {
        "smash-gpu": (
            [sys.executable, "-m", "smash_gpu.cli", "find", str(data), "--groupby", "cell_type", "--model", model,
             "--out", str(folder / "out"), "--no-figures"],
            [sys.executable, "-c", f"import {imports}"],
        )
    }  # fmt: skip
    if options.smashpy:
        counts = folder / f"{name}.npz"
        export(data, counts)
        python = str(options.smashpy)
        programs["smashpy 0.1.2"] = (
            [python, str(SMASHPY), str(counts), model, species],
            [python, "-c", "import smashpy"],
        )
    rows = []
    for program, (command, bare) in programs.items():
        runs = [measured(command, folder) for _ in range(options.repeats)]
        seconds, peak = zip(*runs, strict=True)
        _, bare_peak = measured(bare, folder)
        row = {"benchmark": "command", "program": program, "set": name, "model": model, "repeats": options.repeats}
        row |= {"median_s": float(np.median(seconds)), "min_s": min(seconds), "max_s": max(seconds)}
        row |= {"peak_mib": max(peak), "bare_import_mib": bare_peak}
        rows.append(row)
        print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return rows


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and peak resident MiB of a process."""
    start = time.perf_counter()
    environment = os.environ | {"MPLBACKEND": "Agg"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command} failed:\n{(folder / 'log').read_text()[-2000:]}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def table(path: Path) -> str:
    """The table of the site, from JSON lines of both programs."""
    import pandas as pd

    rows = pd.read_json(path, lines=True)
    rows["above_import_mib"] = rows["peak_mib"] - rows["bare_import_mib"]
    lines = [
        "| set | model | smash-gpu, s | smashpy, s | ratio | smash-gpu, MiB | smashpy, MiB | ratio |",
        "|" + "---|" * 8,
    ]
    for (name, model), part in rows.groupby(["set", "model"], sort=False):
        ours, theirs = (part[part["program"] == p].iloc[-1] for p in ("smash-gpu", "smashpy 0.1.2"))
        seconds = [f"{r['median_s']:.1f} ({r['min_s']:.1f}–{r['max_s']:.1f})" for r in (ours, theirs)]
        memory = [r["above_import_mib"] for r in (ours, theirs)]
        ratios = [f"{theirs['median_s'] / ours['median_s']:.1f}", f"{memory[1] / memory[0]:.1f}"]
        cells = (name, model, *seconds, ratios[0], *(f"{m:.0f}" for m in memory), ratios[1])
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def export(data: Path, target: Path) -> None:
    """The counts, names and labels of a set as NumPy arrays."""
    import anndata as ad

    adata = ad.read_h5ad(data)
    X, text = adata.X, {"names": adata.var_names, "labels": adata.obs["cell_type"].astype(str)}
    np.savez(target, data=X.data, indices=X.indices, indptr=X.indptr, shape=X.shape,
             **{k: np.asarray(v, dtype="U") for k, v in text.items()})  # fmt: skip
