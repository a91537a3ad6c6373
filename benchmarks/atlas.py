"""Selections from files that do not fit in memory: time per cell, peak memory, and whether planted markers are found.

``--folder`` keeps the synthetic files (`atlas_data`), 2.4 GB for a million cells. Every measurement runs in a separate
process, so that peak memory is measured separately. The statistics pass is compared with only reading the same two
arrays of the file in the same process: by HDF5 in one thread, as in AnnData, and by `smash_gpu.io.hdf5` in all threads.
``waiting`` is the share of the statistics pass spent waiting for the next block.
``--device cuda`` has not been run on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np

from benchmarks import atlas_data, record

SIZES = (100_000, 300_000, 1_000_000)
VALUES_AT_ONCE = 4_000_000
REPEATS = 3
FIRST = 5
GROUPBY = "cell_type"


def main(arguments: list[str]) -> None:
    """Create missing files, measure, print and append one line per measurement."""
    options = parse(arguments)
    if options.measure:
        print(json.dumps(MEASURES[options.measure](options)))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    for cells in options.cells:
        path = options.folder / f"{cells}.h5ad"
        if not path.exists():
            print(f"making {path}", flush=True)
            atlas_data.write(path, cells, seed=options.seed)
        for measure in options.what:
            row = {"benchmark": "atlas", "cells": cells, "seed": options.seed, "file_gb": path.stat().st_size / 1e9}
            row |= _in_a_process(measure, path, options)
            record.write(options.json, [row])
            print(row, flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command-line options."""
    parser = record.parser("atlas")
    add = parser.add_argument
    add("--cells", type=int, nargs="+", default=list(SIZES))
    add("--folder", type=Path, default=Path("atlas-data"), help="where the synthetic files are kept")
    add("--what", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    add("--model", default="rf")
    add("--max-cells", type=int)
    add("--memory", default="3GB")
    add("--device", default="cpu")
    add("--seed", type=int, default=0)
    add("--model-options", type=json.loads, default={}, help="as JSON")
    add("--measure", choices=list(MEASURES), help=argparse.SUPPRESS)
    add("--file", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def reading(options: argparse.Namespace) -> dict:
    """Seconds to read and decompress one file, and seconds of the statistics pass on it, alternating."""
    import h5py

    from smash_gpu.blocks import fold
    from smash_gpu.data import stats
    from smash_gpu.io import hdf5, open
    from smash_gpu.runtime import memory

    waits = _watched(fold)
    with h5py.File(options.file) as file:
        arrays = [file["X"][name] for name in ("data", "indices")]
        codes = file[f"obs/{GROUPBY}/codes"][:].astype(np.int64)
        n_values = len(arrays[0])
        runs: dict[str, Callable[[], object]] = {
            "h5py": lambda: _read([lambda start, stop, array=array: array[start:stop] for array in arrays], n_values),
            "all_threads": lambda: _read([hdf5.array_reader(array) for array in arrays], n_values),
            "statistics": lambda: _statistics(open, stats, options, codes),
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(REPEATS):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "what": "reading",
        "values": n_values,
        "seconds": seconds,
        "ns_per_value": {name: value / n_values * 1e9 for name, value in median.items()},
        "waiting": sum(waits) / sum(seconds["statistics"]),
        "device": options.device,
        "speed_of_statistics": {name: median[name] / median["statistics"] for name in ("h5py", "all_threads")},
        "peak_gb": memory.peak() / 1e9,
    }


def selecting(options: argparse.Namespace) -> dict:
    """Seconds and peak memory of `tl.smash`, from the file to the markers, imports included."""
    from smash_gpu import get, tl
    from smash_gpu.runtime import memory

    found = tl.smash(
        options.file, GROUPBY, model=options.model, max_cells=options.max_cells, memory=options.memory,
        random_state=options.seed, model_options=options.model_options, n_top=FIRST, device=options.device,
    )  # fmt: skip
    seconds = time.perf_counter() - STARTED
    table = get.markers(found)
    right = {
        str(name): sum(gene.startswith(f"planted{str(name)[-2:]}.") for gene in part["name"])
        for name, part in table.groupby("group", observed=True)
    }
    sizes = found.obs[GROUPBY].value_counts()
    return {
        "what": "selecting",
        "model": options.model,
        "model_options": options.model_options,
        "max_cells": options.max_cells,
        "device": options.device,
        "memory": options.memory,
        "seconds": seconds,
        "us_per_cell": seconds / found.n_obs * 1e6,
        "peak_gb": memory.peak() / 1e9,
        "candidates": int(found.var["smash_candidate"].sum()),
        "accuracy": float(np.mean(found.uns["smash"]["accuracy"])),
        "planted_of_first_5": {
            "fewest": min(right.values()),
            "rarest": right[sizes.index[-1]],
            "all": sum(right.values()),
        },
        "rarest_cells": int(sizes.iloc[-1]),
    }


MEASURES = {"reading": reading, "selecting": selecting}
STARTED = time.perf_counter()


def _in_a_process(measure: str, path: Path, options: argparse.Namespace) -> dict:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "atlas", "--measure", measure, "--file", str(path)]
    command += [
        "--model",
        options.model,
        "--memory",
        options.memory,
        "--device",
        options.device,
        "--seed",
        str(options.seed),
    ]
    command += ["--model-options", json.dumps(options.model_options)]
    command += ["--max-cells", str(options.max_cells)] * (options.max_cells is not None)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"what": measure, "error": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout.splitlines()[-1])


def _read(readers: list[Callable], n_values: int) -> None:
    for start in range(0, n_values, VALUES_AT_ONCE):
        for read in readers:
            read(start, min(n_values, start + VALUES_AT_ONCE))


def _statistics(files, stats, options: argparse.Namespace, codes: np.ndarray) -> None:
    from smash_gpu.data.known import Known

    matrix = files.open_file(options.file, lazily=True).X
    fold = Known().fold
    stats.group_stats(matrix, codes, atlas_data.CLASSES, device=options.device, fold=fold)


def _watched(fold: ModuleType) -> list[float]:
    """A list to which the seconds of every wait for a block are appended."""
    waits: list[float] = []
    prefetched = fold.prefetched

    def watched(load: Callable, items: Iterable) -> Iterator:
        start = time.perf_counter()
        for block in prefetched(load, items):
            waits.append(time.perf_counter() - start)
            yield block
            start = time.perf_counter()

    fold.prefetched = watched
    return waits
