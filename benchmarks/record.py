"""The context of a measurement (machine, versions, spread), and the file of JSON lines."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from smash_gpu.compute.cores import cores

PACKAGES = (
    "smash-gpu",
    "numpy",
    "scipy",
    "scikit-learn",
    "imbalanced-learn",
    "xgboost-cpu",
    "xgboost",
    "dask",
    "distributed",
    "torch",
    "shap",
    "optuna",
    "anndata",
    "scanpy",
    "scikit-misc",
    "cosg",
    "scGeneFit",
    "nsforest",
    "spapros",
    "cupy-cuda13x",
    "cuml-cu13",
    "rapids-singlecell-cu13",
)
RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- {} -->\n", "<!-- end of {} -->\n"  # marks of a table in a page
COMMIT = "SMASH_COMMIT"  # the commit of a copy of the project that has no git, or another one
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def machine() -> dict:
    """Processor, number of usable cores, and system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    return {"cpu": model, "cores": cores(), "system": f"{platform.system()} {platform.machine()}"}


def versions() -> dict:
    """Versions of Python and of the relevant packages."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit that is measured, short; None if it is not known."""
    if COMMIT in os.environ:
        return os.environ[COMMIT]
    command = ["git", "-C", str(RESULTS), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def parser(name: str) -> argparse.ArgumentParser:
    """Options shared by all benchmarks."""
    options = argparse.ArgumentParser(prog=f"python -m benchmarks {name}")
    options.add_argument("--data", type=Path, default=SHARED, help="folder with the annotated sets")
    options.add_argument("--json", type=Path, default=RESULTS / f"{name}.jsonl", help="file that lines are appended to")
    return options


def write(path: Path, rows: list[dict]) -> None:
    """Append rows with date, commit, machine and versions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    context = {"date": datetime.now(UTC).date().isoformat(), "commit": commit()}
    context |= {"machine": machine(), "versions": versions()}
    with path.open("a") as file:
        file.writelines(json.dumps(row | context) + "\n" for row in rows)


def marked(page: Path, name: str) -> str:
    """What stands between the two marks of this name in a page."""
    text = page.read_text(encoding="utf-8")
    return text.split(START.format(name))[1].split(END.format(name))[0]


def put(page: Path, tables: dict[str, str]) -> None:
    """Write each table between the marks of its name."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        before, after = text.split(START.format(name))[0], text.split(END.format(name))[1]
        text = before + START.format(name) + table + END.format(name) + after
    page.write_text(text, encoding="utf-8")


def timed(run: Callable[[], object], repeats: int) -> dict:
    """Median, smallest and largest of several timings in seconds, after one warm-up run."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return {"median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds), "repeats": repeats}
