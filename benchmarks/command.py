"""Time and peak memory of the whole ``smash-gpu find`` process, compared with smashpy 0.1.2 if installed.

Neither plots the markers; smashpy makes the plots that it always makes. ``--busy`` measures beside a process that keeps
one core busy. A line is written after each set, model and program, so that a run can be stopped and continued.

smashpy needs Python 3.8 and packages of 2021 in an environment of its own, ``requirements-smashpy.txt``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import record
from benchmarks.tables.markdown import markdown

SETS = {
    "paul15": "mouse",
    "citeseq_cbmc": "human",
    "zeisel": "mouse",
    "pbmc3k": "human",
    "kang_muscat": "human",
    "pancreas_endocrinogenesis": "mouse",
    "pbmc_3batch_symphony": "human",
    "onek1k_40donors": "human",
}
MODELS = ("rf", "brf", "xgboost", "dnn")
IMPORTS = {"dnn": "torch", "brf": "imblearn.ensemble", "xgboost": "xgboost", "rf": "sklearn.ensemble"}
SMASHPY = Path(__file__).with_name("smashpy_baseline.py")
OURS, THEIRS = "smash-gpu", "smashpy 0.1.2"

RUN = ["set", "model", "repeats"]  # what is compared was measured as often
COMPARED = ("median_s", "above_import_s", "above_import_mib")
LEAST = 0.5  # seconds or MiB
ABOVE = {"s": "median_s", "mib": "peak_mib"}  # what of the process lies above what of its bare import
SET_BY_SMASH_GPU = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OPENBLAS_THREAD_TIMEOUT")  # when it is imported


def main(arguments: list[str]) -> None:
    """Run every set with every model, ``--repeats`` times each; print and append a line per set, model and program."""
    options = record.parser("command")
    options.add_argument("--smashpy", type=Path, help="Python of an environment with smashpy 0.1.2")
    options.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    options.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--busy", action="store_true", help="beside a process that keeps one core busy")
    options.add_argument("--only-theirs", action="store_true", help="run smashpy alone")
    options.add_argument("--table", action="store_true", help="only print the table of an earlier run's JSON lines")
    options = options.parse_args(arguments)
    if options.table:
        print(table(options.json))
        return
    print(record.machine(), record.versions(), "OPENBLAS_CORETYPE", os.environ.get("OPENBLAS_CORETYPE"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sets:
            for model in options.models:
                for row in compare(name, model, options, Path(folder)):
                    record.write(options.json, [row])
                    print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)


def compare(name: str, model: str, options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """One set and model, by both programs."""
    for program, (command, bare) in programs(name, model, options, folder).items():
        with busy() if options.busy else tempfile.TemporaryDirectory():
            runs = [measured(command, folder) for _ in range(options.repeats)]
            of_imports = measured(bare, folder)
        seconds = [run["s"] for run in runs]
        row = {"benchmark": "command", "program": program, "set": name, "model": model, "repeats": options.repeats}
        row |= {"busy": options.busy, "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE")}
        row |= {"median_s": float(np.median(seconds)), "min_s": min(seconds), "max_s": max(seconds)}
        row |= {"processor_s": float(np.median([run["processor_s"] for run in runs]))}
        row |= {"peak_mib": max(run["mib"] for run in runs), "bare_import_mib": of_imports["mib"]}
        yield row | {"bare_import_s": of_imports["s"], "bare_import_processor_s": of_imports["processor_s"]}


def programs(name: str, model: str, options: argparse.Namespace, folder: Path) -> dict[str, tuple[list, list]]:
    """For each program its command, and one that only imports what it uses."""
    data, found = options.data / f"{name}.h5ad", {}
    if not options.only_theirs:
        found[OURS] = (
            [sys.executable, "-m", "smash_gpu.cli", "find", str(data), "--groupby", "cell_type", "--model", model,
             "--out", str(folder / "out"), "--no-figures"],
            [sys.executable, "-c", f"import {IMPORTS[model]}, sklearn.ensemble, anndata, smash_gpu"],
        )  # fmt: skip
    if options.smashpy:
        counts, python = folder / f"{name}.npz", str(options.smashpy)
        if not counts.exists():
            export(data, counts)
        command = [python, str(SMASHPY), str(counts), model, SETS[name]]
        found[THEIRS] = command, [python, "-c", "import smashpy"]
    return found


@contextmanager
def busy() -> Iterator[None]:
    """A process that keeps one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measured(command: list[str], folder: Path) -> dict[str, float]:
    """Seconds, processor seconds and peak resident MiB of a process."""
    start = time.perf_counter()
    environment = os.environ | {"MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if Path(command[0]) != Path(sys.executable):
        for name in ("PYTHONPATH", *SET_BY_SMASH_GPU):
            environment.pop(name, None)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(f"{command} failed:\n{(folder / 'log').read_text()[-2000:]}")
    used = usage.ru_utime + usage.ru_stime
    return {"s": time.perf_counter() - start, "processor_s": used, "mib": usage.ru_maxrss / 1024}


def table(path: Path) -> str:
    """Both programs alone on the machine; sets and models that one of them lacks are left out."""
    rows = lines_of(path, busy=False)
    head = ["set", "model", "smash-gpu, s", "smashpy, s", "ratio", "ratio above the imports", "smash-gpu, MiB"]
    shown = []
    for (name, model, _), part in rows.groupby(RUN, sort=False):
        by = part.set_index("program")
        if {OURS, THEIRS} <= {*by.index}:
            ours, theirs = by.loc[OURS], by.loc[THEIRS]
            seconds, above, memory = (_ratio(theirs[of], ours[of]) for of in COMPARED)
            mib = [f"{of['above_import_mib']:.0f}" for of in (ours, theirs)]
            shown.append([name, model, _seconds(ours), _seconds(theirs), seconds, above, *mib, memory])
    return markdown([*head, "smashpy, MiB", "ratio"], shown)


def beside_a_busy_process(path: Path) -> str:
    """`smash-gpu find` alone and beside a process that keeps one core busy."""
    alone, beside = (lines_of(path, busy=of) for of in (False, True))
    ours = (rows[rows["program"] == OURS] for rows in (alone, beside))
    both = next(ours).merge(next(ours), on=RUN, suffixes=("", "_busy"))
    both["ratio"] = both["median_s_busy"] / both["median_s"]
    head = ["set", "model", "alone, s", "beside a busy process, s", "ratio"]
    cells = ([r["set"], r["model"], _seconds(r), _seconds(r, "_busy"), f"{r['ratio']:.1f}"] for _, r in both.iterrows())
    return markdown(head, cells)


def lines_of(path: Path, *, busy: bool) -> pd.DataFrame:
    """The last line of every program, set, model and number of runs, and what lies above the bare import."""
    rows = pd.read_json(path, lines=True)
    rows = rows[rows["busy"].eq(busy)].drop_duplicates(["program", *RUN], keep="last")
    above = {f"above_import_{of}": rows[total] - rows[f"bare_import_{of}"] for of, total in ABOVE.items()}
    return rows.assign(**above)


def _ratio(theirs: float, ours: float) -> str:
    """Of what is too little to be measured there is none."""
    return f"{theirs / ours:.1f}" if min(theirs, ours) > LEAST else "–"


def _seconds(row: pd.Series, suffix: str = "") -> str:
    low, high = (row[f"{end}_s{suffix}"] for end in ("min", "max"))
    return f"{row[f'median_s{suffix}']:.1f}" + (f" ({low:.1f}–{high:.1f})" if low < high else "")


def export(data: Path, target: Path) -> None:
    """The counts, names and labels of a set as NumPy arrays."""
    import anndata as ad

    adata = ad.read_h5ad(data)
    X, text = adata.X, {"names": adata.var_names, "labels": adata.obs["cell_type"].astype(str)}
    np.savez(target, data=X.data, indices=X.indices, indptr=X.indptr, shape=X.shape,
             **{k: np.asarray(v, dtype="U") for k, v in text.items()})  # fmt: skip
